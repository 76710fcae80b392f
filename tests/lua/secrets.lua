-- Secrets: their sources, and where their text must not be seen.
local t = require "spec"
local tutti = require "tutti"

local function run(source, options)
  local dir = t.tmpdir()
  t.write(dir .. "/flow.lua", 'local tutti = require "tutti"\n' .. source)
  local r = t.tutti { "run", dir .. "/flow.lua", cwd = dir, env = { THE_SECRET = "hunter2" },
    table.unpack(options or {}) }
  return r, dir
end

t.describe("tutti.secret", function()
  t.it("reads a variable, a file and a command, without the last newline", function()
    local dir = t.tmpdir()
    t.write(dir .. "/f", "from file\n")
    for expected, source in pairs {
      ["from file"] = { file = dir .. "/f" }, ["from command"] = { command = "echo from command" },
      ["from argv"] = { command = { "echo", "from argv" } },
    } do
      local s = tutti.secret(source)
      t.eq(tutti.here:run({ "cat", stdin = s }).stdout, expected)
    end
    t.eq(run('io.write(tutti.here:run({ "cat", stdin = tutti.secret { env = "THE_SECRET" } }).stdout)').stdout,
      "hunter2")
  end)

  t.it("refuses what is no source, two sources, and an empty secret", function()
    t.has(t.raises("invalid", function() tutti.secret { flie = "x" } end).message, "file")
    t.raises("invalid", function() tutti.secret { env = "A", file = "B" } end)
    t.raises("invalid", function() tutti.secret {} end)
    t.match(t.raises("invalid", function() tutti.secret "text" end).message, "^[^\n]*secrets.lua:%d+: ")
    t.has(t.raises("invalid", function() tutti.secret { env = "NO_SUCH_VARIABLE" } end).message,
      "NO_SUCH_VARIABLE")
    t.raises("invalid", function() tutti.secret { command = "true" } end)
    t.raises("not_found", function() tutti.secret { file = "/no/such" } end)
  end)

  t.it("has no text in Lua", function()
    local s = tutti.secret { command = "echo hunter2" }
    t.eq(tostring(s), "***")
    t.eq(("%s"):format(s), "***")
    for _, f in ipairs {
      function() return s .. "x" end, function() return "x" .. s end, function() return #s end,
      function() return s.text end, function() return tutti.json.encode { s } end,
      function() return tutti.here:try { "echo", s } end,
      function() return tutti.here:try("echo %s", s) end,
    } do
      t.raises("invalid", f)
    end
    t.eq(getmetatable(s), false)
  end)

  t.it("asks on the terminal, and says when there is none", function()
    local r = run [[tutti.secret { prompt = "Password: " }]]
    t.eq(r.code, 2)
    t.has(r.stderr, "terminal")
  end)

  t.it("touches no source while a file is only looked at", function()
    local dir = t.tmpdir()
    t.write(dir .. "/f.lua", 'local tutti = require "tutti"\n'
      .. 'local s = tutti.secret { command = "touch ' .. dir .. '/ran; echo x" }\n'
      .. 'local flow = tutti.workflow "w"\nflow.task "a" { run = "true", env = { S = s } }\nreturn flow')
    t.eq(t.tutti({ "check", dir .. "/f.lua" }).code, 0)
    t.eq(t.tutti({ "run", dir .. "/f.lua", "--dry-run" }).code, 0)
    t.eq(tutti.here:stat(dir .. "/ran"), nil)
  end)
end)

t.describe("masking", function()
  local source = [[
    local s = tutti.secret { env = "THE_SECRET" }
    local flow = tutti.workflow "w"
    flow.task "a" { run = "echo out $S; printf hun; sleep 0.1; printf ter2; echo err $S >&2", env = { S = s } }
    flow.task "b" { needs = "a", run = function(ctx)
      local text = ctx.results.a.stdout
      print("print", text)
      io.stderr:write("stderr hun", "ter2\n")
      return { value = text }
    end }
    flow.task "c" { needs = "b", run = function(ctx) error("raised " .. ctx.results.a.stdout) end }
    return flow]]

  t.it("hides it in print, stderr, progress, errors, the report, logs and everything stored", function()
    local r, dir = run(source)
    t.eq(r.code, 1)
    t.no(r.stdout:find("hunter2", 1, true))
    t.no(r.stderr:find("hunter2", 1, true))
    t.has(r.stdout, "print\tout ***")
    t.has(r.stderr, "stderr ***")
    t.has(r.stderr, "raised out ***")
    local found = tutti.here:try { "grep", "-r", "hunter2", dir .. "/.tutti" }
    t.eq(found.code, 1, "grep finds nothing")
    t.has(tutti.here:run({ "grep", "-r", "out", dir .. "/.tutti" }).stdout, "out ***")
  end)

  t.it("hides it in the JSON document", function()
    local r = run(source, { "--json" })
    t.no(r.stdout:find("hunter2", 1, true))
    t.has(r:json().tasks[1].output, "out ***")
    t.has(r:json().tasks[2].output.value, "***")
  end)

  t.it("leaves bytes exact that io.write and files get", function()
    local r, dir = run [[
      local s = tutti.secret { env = "THE_SECRET" }
      local text = tutti.here:run({ "cat", stdin = s }).stdout
      io.write(text)
      io.stdout:write(text)
      tutti.here:write("kept", text)]]
    t.eq(r.stdout, "hunter2hunter2")
    t.eq(t.slurp(dir .. "/kept"), "hunter2")
  end)
end)

t.done()
