-- What people read about what went wrong: said the same way everywhere, and at their own line.
local t = require "spec"

local dir = t.tmpdir()

local function run(source, ...)
  t.write(dir .. "/s.lua", source)
  return t.tutti { "run", "s.lua", cwd = dir, ... }
end

local head = 'local tutti = require "tutti"\nlocal flow = tutti.workflow("w", { on_failure = "continue" })\n'
  .. "local task = flow.task\n"

t.describe("a report", function()
  local r = run(head .. [[
    local function nap() tutti.sleep(5) end
    task "timeout" { run = "sleep 5", timeout = "100ms" }
    task "deadline" { run = "sleep 5", deadline = "100ms" }
    task "ftimeout" { run = nap, timeout = "100ms" }
    task "fdeadline" { run = nap, deadline = "100ms" }
    task "health" { run = "true", timeout = "1h", health = { run = nap, timeout = "50ms", retries = 0 } }
    task "unwell" { run = "true", health = { run = function() return false end, retries = 2, interval = 0 } }
    task "message" { run = function() error { message = "the message", code = 4 } end }
    task "fields" { run = function() error { "text", code = 4, deep = { true, { 1.5 } } } end }
    task "own" { run = function() error(setmetatable({}, { __tostring = function() return "own text" end })) end }
    task "child" { needs = "timeout", run = "true" }
    task "grandchild" { needs = { "child" }, run = "true" }
    task "never" { when = false, run = "true" }
    task "no" { when = function() return false end, run = "true" }
    task "flow" { run = function(ctx) print(ctx.flow) kept = ctx.flow end }
    task "exits" { after = "flow", run = function() print(kept) os.exit("x") end }
    return flow]])

  t.it("names the limit that was declared, in the same words for all", function()
    for _, name in ipairs { "timeout", "deadline", "ftimeout", "fdeadline" } do
      t.match(r.stderr, ('\n  %s: [^\n]*task "%s" timed out after 0%%.1s %%(timeout%%)'):format(name, name))
    end
    t.match(r.stderr, 'health: [^\n]*the health check of task "health" timed out after 0%.05s')
  end)
  t.it("counts the failed checks of a function too", function()
    t.has(r.stderr, "unwell: the health check failed 3 times: the health function returned false (health)")
  end)
  t.it("shows what a table that was raised holds", function()
    t.has(r.stderr, "message: the message (script)")
    t.has(r.stderr, 'fields: {"text", code = 4, deep = {true, {1.5}}} (script)')
    t.has(r.stderr, "own: own text (script)")
  end)
  t.it("says why a task was skipped, in the progress and in the table", function()
    for name, why in pairs { child = "needs timeout, which failed", grandchild = "needs child, which was skipped",
      never = "its condition is false", no = "its condition is false" } do
      t.has(r.stderr, name .. ": skipped: " .. why)
      t.match(r.stderr, "\n" .. name .. " +skipped: " .. why)
    end
  end)
  t.it("names the workflow and the user's line", function()
    t.eq(r.stdout, 'workflow "w"\nworkflow ""\n')
    t.match(r.stderr, "exits: s.lua:%d+: os%.exit: the code must be an integer or a boolean, got string %(invalid%)")
  end)
end)

t.describe("an error", function()
  t.it("of a function of the library is told at the line that called it", function()
    for source, message in pairs {
      ["\nos.exit 'x'"] = "s.lua:2: os.exit: the code must be an integer or a boolean, got string",
      ["\nio.popen()"] = "s.lua:2: bad argument #1 to 'popen' (string expected, got nil)",
      ["\nos.execute {}"] = "s.lua:2: bad argument #1 to 'execute' (string expected, got table)",
      ["\nio.read 'z'"] = "s.lua:2: bad argument to 'read' (invalid format)",
      ["\nio.input {}"] = "s.lua:2: bad argument #1 to 'input' (FILE* expected, got table)",
      ["\nrequire 'no.such'"] = "s.lua:2: module 'no.such' not found:",
    } do
      local r = run(source)
      t.has(r.stderr, "tutti: " .. message)
      t.no(r.stderr:find "tutti/[%w/]+%.lua:%d")
    end
  end)
  t.it("that is a table is shown, cut where it gets long", function()
    local r = run "error { list = {}, long = ('ä'):rep(500), f = print, [print] = 1 }"
    t.match(r.stderr, '^tutti: {f = function, list = {}, long = "[ä]+…\n$')
    t.ok(utf8.len(r.stderr))
    r = run "local e = {} e.e = e error(e)"
    t.eq(r.stderr, "tutti: {e = {e = {e = {e = {…}}}}}\n")
  end)
end)

t.describe("numbers of tasks at once", function()
  t.it("that are too large or too small are refused by the option's name", function()
    for _, number in ipairs { "0", "-1", "x", "1.5", "1000001", "99999999999999999999999" } do
      local r = run("print 'ran'", "-j", number)
      t.eq({ r.code, r.stdout }, { 2, "" })
      t.has(r.stderr, "tutti run: -j takes a whole number from 1 to 1000000, not \"" .. number .. '"')
      r = t.tutti { "on", "--parallel", number, "local:", "--", "true" }
      t.eq(r.code, 2)
      t.has(r.stderr, "--parallel takes a whole number from 1 to 1000000")
    end
  end)
end)

t.describe("env:glob", function()
  t.it("misses no pattern that matches nothing, unless that is fine", function()
    local r = run [[
      local here = require("tutti").here
      print(#here:glob { "*.lua", "s.*" }, #here:glob({ "*.lua", "*.none" }, { empty = true }))
      here:glob { "*.lua", "*.none" }]]
    t.eq(r.stdout, "1\t1\n")
    t.has(r.stderr, "s.lua:3: env:glob: nothing matches '*.none'")
  end)
end)

t.done()
