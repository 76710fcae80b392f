-- Contract: cwd, env, user; stdin; output limit.
local t = require "spec"
local suite = require "_suite"
local it = suite.it

t.describe("cwd", function()
  it("takes effect, whatever its name", function(env)
    local dir = suite.folder()
    for _, name in ipairs { "plain", "with space", "$(id)", "a'b", "-dash", "new\nline" } do
      env:run { "mkdir", "--", dir .. "/" .. name }
      t.eq(env:run { "pwd", cwd = dir .. "/" .. name }.stdout, dir .. "/" .. name .. "\n")
      t.eq(env:run { sh = "pwd", cwd = dir .. "/" .. name }.stdout, dir .. "/" .. name .. "\n")
    end
  end, { timeout = 120 })
  it("a bad one fails as cwd before the command starts", function(env)
    local dir = suite.folder()
    for _, command in ipairs { { "touch", dir .. "/ran" }, { sh = "touch " .. dir .. "/ran" } } do
      command.cwd = dir .. "/missing"
      local r = env:try(command)
      t.eq({ r.ok, r.kind }, { false, "cwd" })
      t.has(r.message, "missing")
    end
    env:write(dir .. "/file", "")
    t.eq(env:try { "true", cwd = dir .. "/file" }.kind, "cwd")
    t.eq(env:stat(dir .. "/ran"), nil)
  end)
  it("a code of 127 or a word in stderr is no cwd failure", function(env)
    local r = env:try "echo 'cd: no such file or directory' >&2; exit 1"
    t.eq(r.kind, "exit")
  end)
end)

t.describe("env", function()
  it("values arrive exactly", function(env)
    suite.each(suite.hostile, function(value)
      t.eq(env:run { sh = 'printf %s "$VALUE"', env = { VALUE = value } }.stdout, value)
    end)
  end, { timeout = 120 })
  it("a name that is no name is refused before anything runs", function(env)
    local dir = suite.folder()
    for _, name in ipairs { "A;touch " .. dir .. "/ran;B", "", "1A", "A=B", "A B", "A\nB", "$(id)" } do
      t.raises("invalid", function() env:try { "true", env = { [name] = "x" } } end)
    end
    t.eq(env:stat(dir .. "/ran"), nil)
  end)
  it("a value with a NUL byte is refused", function(env)
    t.raises("invalid", function() env:try { "true", env = { A = "a\0b" } } end)
  end)
  it("with gives a derived environment and leaves the first alone", function(env)
    local derived = env:with { cwd = "/", env = { A = "1", B = "2" } }
    t.eq(derived:run { sh = "echo $A$B$C; pwd", env = { B = "3", C = "4" } }.stdout, "134\n/\n")
    t.eq(env:run("echo [$A]").stdout, "[]\n")
  end)
  it("nothing of this machine's environment leaks into a remote one", function(env)
    local r = env:run "env"
    if suite.kind == "local" then
      t.has(r.stdout, "TUTTI_TEST_KIND=local")
    else
      t.no(r.stdout:find("TUTTI_", 1, true))
    end
  end)
end)

t.describe("user", function()
  it("runs the whole command as that user", function(env)
    local r = env:with { user = "nobody", password = suite.password }
      :run { sh = "id -un; (id -un)", cwd = "/" }
    t.eq(r.stdout, "nobody\nnobody\n")
  end)
  it("an unknown one fails before the command starts", function(env)
    local dir = suite.folder()
    local ok, r = pcall(env.try, env, { "touch", dir .. "/ran", user = "no-such-user",
      password = suite.password })
    t.no(ok and r.ok)
    t.eq(env:stat(dir .. "/ran"), nil)
  end)
  it("a name that is no name is refused", function(env)
    t.raises("invalid", function() env:try { "true", user = "a; id" } end)
  end)
end)

t.describe("stdin", function()
  it("none means EOF at once", function(env)
    t.eq(env:run({ "cat", timeout = "20s" }).stdout, "")
  end)
  it("a string reaches the command, and then EOF does", function(env)
    t.eq(env:run { "cat", stdin = "a\0b\r\n" }.stdout, "a\0b\r\n")
    t.eq(env:run { sh = "cat; echo end", stdin = "" }.stdout, "end\n")
  end)
  it("5 MiB go through cat unchanged", function(env)
    local data = ("0123456789abcde\n"):rep(5 * 65536)
    t.ok(env:run { "cat", stdin = data }.stdout == data)
  end, { timeout = 120 })
  it("8 MiB go to a command that reads them late", function(env)
    local data = ("0123456789abcde\n"):rep(8 * 65536)
    t.eq(env:run({ sh = "sleep 0.3; wc -c", stdin = data }).stdout:match "%d+", "8388608")
  end, { timeout = 120 })
  it("1 MB to a command that does not read it is fine", function(env)
    t.eq(env:run { "true", stdin = ("x"):rep(1000000) }.ok, true)
  end)
end)

t.describe("output limit", function()
  it("stops the command and keeps the head", function(env)
    local r = env:try { sh = "yes", max_output = "64KiB", timeout = "60s" }
    t.eq({ r.ok, r.kind }, { false, "output_limit" })
    t.eq(#r.stdout, 65536)
    t.eq(r.stdout:sub(1, 4), "y\ny\n")
  end, { timeout = 90 })
  it("is for each stream", function(env)
    local r = env:try { sh = "head -c 60000 /dev/zero; head -c 60000 /dev/zero >&2",
      max_output = "64KiB" }
    t.eq({ r.ok, #r.stdout, #r.stderr }, { true, 60000, 60000 })
    r = env:try { sh = "head -c 70000 /dev/zero >&2", max_output = "64KiB" }
    t.eq({ r.kind, #r.stderr }, { "output_limit", 65536 })
  end)
  it("exactly the limit is fine", function(env)
    t.eq(env:run({ sh = "head -c 65536 /dev/zero", max_output = "64KiB" }).ok, true)
  end)
end)

t.done()
