-- Contract: files; secrets.
local t = require "spec"
local suite = require "_suite"
local tutti = require "tutti"
local it = suite.it

local function mode_of(env, path)
  return env:run({ "stat", "-c", "%a", path }).stdout:gsub("\n", "")
end

t.describe("files", function()
  it("write and read keep bytes exactly, whatever the name", function(env)
    local dir = suite.folder()
    for _, name in ipairs { "plain", "with space", "$(id)", "a'b\"c", "-n", "new\nline", "\255\254",
      ".dot" } do
      local path = dir .. "/" .. name
      env:write(path, "x\0\255\r\n" .. name)
      t.eq(env:read(path), "x\0\255\r\n" .. name)
      t.eq(env:run({ "cat", "--", path }).stdout, "x\0\255\r\n" .. name)
    end
    env:write(dir .. "/empty", "")
    t.eq(env:read(dir .. "/empty"), "")
  end, { timeout = 120 })
  it("5 MiB survive", function(env)
    local dir, data = suite.folder(), ("0123456789abcdef"):rep(327680)
    env:write(dir .. "/big", data)
    t.ok(env:read(dir .. "/big") == data)
  end, { timeout = 120 })
  it("a write sets the mode, or keeps that of the file before", function(env)
    local path = suite.folder() .. "/f"
    env:write(path, "1", { mode = 448 })
    t.eq(mode_of(env, path), "700")
    env:write(path, "2")
    t.eq(mode_of(env, path), "700")
    env:write(path, "3", { mode = "0640" })
    t.eq(mode_of(env, path), "640")
    t.raises("invalid", env.write, env, path, "4", { mode = "rw" })
    t.raises("invalid", env.write, env, path, "4", { mode = "0999" })
  end)
  it("a write is atomic and leaves no temporary behind", function(env)
    local dir = suite.folder()
    env:write(dir .. "/f", "old")
    env:run { "ln", dir .. "/f", dir .. "/link" }
    env:write(dir .. "/f", "new")
    t.eq(env:read(dir .. "/link"), "old", "the file was replaced, not overwritten")
    t.eq(env:run({ "ls", "-A", dir }).stdout, "f\nlink\n")
  end)
  it("a write follows a symlink", function(env)
    local dir = suite.folder()
    env:write(dir .. "/f", "old")
    env:run { "ln", "-s", "f", dir .. "/link" }
    env:write(dir .. "/link", "new")
    t.eq(env:read(dir .. "/f"), "new")
    t.eq(env:run({ "readlink", dir .. "/link" }).stdout, "f\n")
  end)
  it("what is missing is not_found, and stat is nil", function(env)
    local dir = suite.folder()
    t.raises("not_found", function() env:read(dir .. "/no") end)
    t.raises("not_found", function() env:remove(dir .. "/no") end)
    t.raises("not_found", function() env:write(dir .. "/no/f", "x") end)
    t.eq(env:stat(dir .. "/no"), nil)
  end)
  it("stat tells type, size and mode", function(env)
    local dir = suite.folder()
    env:write(dir .. "/f", "12345", { mode = 384 })
    local s = env:stat(dir .. "/f")
    t.eq({ s.type, s.size, s.mode }, { "file", 5, 384 })
    t.eq(env:stat(dir).type, "directory")
  end)
  it("glob finds by pattern at any depth, with dot files, not through symlinks", function(env)
    local dir = suite.folder()
    local there = env:with { cwd = dir }
    there:run [[mkdir -p a/b .c 'sp ace'
      touch x.txt a/x.txt a/b/x.txt .c/x.txt .x.txt 'sp ace/x.txt' a/y]]
    t.eq(there:glob "*/x.txt", { ".c/x.txt", "a/x.txt", "sp ace/x.txt" })
    there:run "ln -s . loop"
    t.eq(there:glob "**/*.txt",
      { ".c/x.txt", ".x.txt", "a/b/x.txt", "a/x.txt", "sp ace/x.txt", "x.txt" })
    t.raises("not_found", function() there:glob "*.nothing" end)
    t.eq(there:glob("*.nothing", { empty = true }), {})
  end)
  it("remove takes a file; a tree only when told; never what a symlink points to", function(env)
    local dir = suite.folder()
    env:run { sh = "mkdir -p keep t/sub; touch keep/f t/sub/f; ln -s ../keep t/link", cwd = dir }
    t.raises(nil, function() env:remove(dir .. "/t") end)
    env:remove(dir .. "/t", { recursive = true })
    t.eq(env:stat(dir .. "/t"), nil)
    t.eq(env:read(dir .. "/keep/f"), "")
  end)
  it("a tree goes up and comes down identical", function()
    local here, there, back = t.tmpdir() .. "/t", suite.folder() .. "/t", t.tmpdir() .. "/t"
    tutti.here:run { sh = [[mkdir -p t/sub/empty t/.dot 't/sp ace'; cd t
      printf 'a\0b' > sub/f; echo dot > .dot/.f; echo x > 'sp ace/$(id)'; chmod 750 sub; chmod 601 sub/f
      ln -s sub/f link; ln -s /no/where dangling]], cwd = here:gsub("/t$", "") }
    suite.env:upload(here, there)
    suite.env:download(there, back)
    local function list(path)
      return tutti.here:run { sh = [[find . | sort | while IFS= read -r f; do
        stat -c '%n %F %a %N' "$f"; [ -f "$f" ] && [ ! -L "$f" ] && md5sum < "$f"; done; true]], cwd = path }.stdout
    end
    t.eq(list(back), list(here))
  end, { timeout = 120 })
  it("copy goes straight from one environment to another", function(env)
    local here, there = t.tmpdir(), suite.folder()
    tutti.here:write(here .. "/f", "content", { mode = 448 })
    tutti.copy({ tutti.here, here .. "/f" }, { env, there .. "/g" })
    t.eq(env:read(there .. "/g"), "content")
    t.eq(mode_of(env, there .. "/g"), "700")
  end)
end)

t.describe("secrets", function()
  local function secret(text)
    local path = t.tmpdir() .. "/secret"
    tutti.here:write(path, text .. "\n", { mode = 384 })
    return tutti.secret { file = path }
  end
  it("reach a command by environment and by stdin", function(env)
    local s = secret "hunter2-$(id)'\""
    t.eq(env:run { sh = "printf %s \"$TOKEN\" | md5sum", env = { TOKEN = s } }.stdout,
      env:run { sh = "md5sum", stdin = "hunter2-$(id)'\"" }.stdout)
    t.eq(env:run { "md5sum", stdin = s }.stdout,
      env:run { sh = "md5sum", stdin = "hunter2-$(id)'\"" }.stdout)
  end)
  it("are in no process's arguments", function(env)
    local s = secret "needle-in-a-haystack"
    local r = env:run {
      sh = [[cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | grep -c needle-in-a[-]haystack; true]],
      env = { TOKEN = s } }
    t.eq(r.stdout, "0\n")
  end)
  it("cannot be placed in a command, printed or joined", function(env)
    local s = secret "hunter2"
    t.raises("invalid", function() env:try("echo %s", s) end)
    t.raises("invalid", function() env:try { "echo", s } end)
    t.eq(tostring(s), "***")
    t.raises("invalid", function() return "x" .. s end)
    t.raises(nil, function() return tutti.json.encode { s } end)
  end)
end)

t.done()
