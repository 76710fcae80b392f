-- Contract: command, placeholders, result, kind, run / try.
local t = require "spec"
local suite = require "_suite"
local it = suite.it

t.describe("command", function()
  it("a string goes to the shell", function(env)
    t.eq(env:run("echo a | tr a b").stdout, "b\n")
  end)
  it("a command with options goes to the shell as sh", function(env)
    t.eq(env:run { sh = "echo $((1 + 2))" }.stdout, "3\n")
  end)
  it("argv words arrive byte-exact whatever they contain", function(env)
    suite.each(suite.hostile, function(word) t.eq(env:run { "printf", "%s", word }.stdout, word) end)
    t.eq(env:run { "printf", "[%s]", table.unpack(suite.hostile) }.stdout,
      "[" .. table.concat(suite.hostile, "][") .. "]")
  end, { timeout = 120 })
  it("a NUL byte is refused", function(env)
    t.raises("invalid", function() env:try { "echo", "a\0b" } end)
    t.raises("invalid", function() env:try "echo a\0b" end)
  end)
  it("nothing to run is refused", function(env)
    t.raises("invalid", function() env:try {} end)
    t.raises("invalid", function() env:try { sh = "true", "true" } end)
    t.raises("invalid", function() env:try { "true", no_such_option = 1 } end)
  end)
end)

t.describe("placeholders", function()
  it("each %s is its value, quoted", function(env)
    suite.each(suite.hostile, function(word) t.eq(env:run("printf %%s %s", word).stdout, word) end)
  end, { timeout = 120 })
  it("a table is each item quoted", function(env)
    t.eq(env:run("printf '[%%s]' %s", { "a b", "", "c'd" }).stdout, "[a b][][c'd]")
  end)
  it("sh takes them too, beside options", function(env)
    t.eq(env:run { sh = { "cd %s && pwd", "/" } }.stdout, "/\n")
  end)
  it("without arguments the string is verbatim", function(env)
    t.eq(env:run("printf '%s' x").stdout, "x")
    t.eq(env:run("printf '%%'").stdout, "%")
  end)
  it("what cannot be placed is invalid", function(env)
    for _, call in ipairs {
      { "echo %s" , "a", "b" }, { "echo %s %s", "a" }, { "echo %d", 1 }, { "echo %s", {} },
      { "echo %s", "a\0b" }, { "echo %s", function() end },
    } do
      t.raises("invalid", function() env:try(table.unpack(call)) end)
    end
    t.raises("invalid", function() env:try("echo %s %s", "a", nil) end)
  end)
end)

t.describe("result", function()
  it("has every field of the contract", function(env)
    local r = env:try "echo out; echo err >&2; exit 3"
    t.eq(r.ok, false)
    t.eq(r.code, 3)
    t.eq(r.signal, nil)
    t.eq(r.kind, "exit")
    t.eq(r.stdout, "out\n")
    t.eq(r.stderr, "err\n")
    t.eq(math.type(r.duration), "float")
    t.ok(r.duration > 0)
    t.eq(r.env, tostring(env))
  end)
  it("ok is code 0 and no kind", function(env)
    local r = env:run "true"
    t.eq({ r.ok, r.code, r.kind }, { true, 0, nil })
  end)
  it("tostring is stdout without its last newline", function(env)
    t.eq(tostring(env:run "printf 'a\\n\\n'"), "a\n")
    t.eq(tostring(env:run "printf a"), "a")
  end)
  it("lines and json read stdout", function(env)
    local lines = {}
    for line in env:run("printf 'a\\n\\nb'"):lines() do
      lines[#lines + 1] = line
    end
    t.eq(lines, { "a", "", "b" })
    t.eq(env:run([[echo '{"n": 9007199254740993, "x": [1, 2.0]}']]):json(),
      { n = 9007199254740993, x = { 1, 2.0 } })
    t.raises(nil, function() env:run("echo nonsense"):json() end)
  end)
  it("keeps bytes exactly", function(env)
    t.eq(env:run([[printf '\000\001\377\r\n']]).stdout, "\0\1\255\r\n")
  end)
  it("64 KiB - 1, 64 KiB + 1 and 5 MiB on both streams arrive byte-exact", function(env)
    for _, size in ipairs { 65535, 65537, 5 * 1024 * 1024 } do
      local r = env:run { sh = "yes abcdefg | head -c $N; yes 1234567 | head -c $N >&2",
        env = { N = tostring(size) } }
      t.ok(r.stdout == ("abcdefg\n"):rep(size // 8 + 1):sub(1, size), "stdout of " .. size)
      t.ok(r.stderr == ("1234567\n"):rep(size // 8 + 1):sub(1, size), "stderr of " .. size)
    end
  end, { timeout = 120 })
end)

t.describe("kind", function()
  it("exit, signal, not_found and permission come from the code", function(env)
    local cases = {
      { 1, "exit" }, { 125, "exit" }, { 126, "permission" }, { 127, "not_found" }, { 128, "exit" },
      { 129, "signal", "HUP" }, { 137, "signal", "KILL" }, { 143, "signal", "TERM" },
      { 159, "signal", "SYS" }, { 160, "exit" }, { 255, "exit" },
    }
    suite.each(cases, function(case)
      local r = env:try("exit " .. case[1])
      t.eq({ r.ok, r.code, r.kind, r.signal }, { false, case[1], case[2], case[3] })
    end)
  end, { timeout = 120 })
  it("a shell that kills itself is 137 and not ok", function(env)
    local r = env:try "kill -KILL $$"
    t.eq({ r.ok, r.code, r.kind, r.signal }, { false, 137, "signal", "KILL" })
  end)
  it("an argv that is not there is not_found", function(env)
    local r = env:try { "/no/such/command" }
    t.eq({ r.ok, r.kind }, { false, "not_found" })
    t.eq(env:try { "no-such-command-anywhere" }.kind, "not_found")
  end)
  it("an argv that may not be executed is permission", function(env)
    local dir = suite.folder()
    env:write(dir .. "/plain", "text", { mode = 420 })
    t.eq(env:try { dir .. "/plain" }.kind, "permission")
  end)
end)

t.describe("run / try", function()
  it("run raises with the kind and the result", function(env)
    local e = t.raises("exit", function() env:run "echo partly; echo why >&2; exit 5" end)
    t.eq(e.code, 5)
    t.eq(e.result.stdout, "partly\n")
    t.eq(e.result.stderr, "why\n")
    t.has(tostring(e), "5")
  end)
  it("try returns what a command can do", function(env)
    t.eq(env:try("exit 5").code, 5)
  end)
end)

t.done()
