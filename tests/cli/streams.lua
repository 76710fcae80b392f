-- Standard output and error that cannot be written: a lost result is told once and is a failure, a lost
-- log is neither.
local t = require "spec"
local tutti = require "tutti"

local dir = t.tmpdir()

local function file(name, source)
  t.write(dir .. "/" .. name, source)
  return dir .. "/" .. name
end

local flow = file("flow.lua", [[
local tutti = require "tutti"
local flow = tutti.workflow "w"
flow.task "a" { run = function()
  print "printed"
  io.write "written"
  io.stderr:write "told"
  assert(os.execute "echo out; echo err >&2")
  return 1
end }
return flow]])

-- tutti's words, with a redirection at the end.
local function sh(words, redirection)
  return tutti.here:try { sh = { "%s %s " .. redirection, os.getenv "TUTTI" or "tutti", words } }
end

local lost = "tutti: [^\n]*standard output[^\n]*: No space left on device\n"

t.describe("what is lost on standard output", function()
  local commands = {
    { "help" }, { "help", "run" }, { "version" }, { "check", flow }, { "graph", flow }, { "graph", "--dot", flow },
    { "graph", "--json", flow }, { "run", "--dry-run", flow }, { "run", "--dry-run", "--json", flow },
    { "run", "--json", flow }, { "run", "--quiet", flow }, { "on", "local:", "--", "echo hi" },
    { "on", "--json", "local:", "--", "echo hi" }, { "on", "local:", "local://", "--", "echo hi" },
    { "run", file("print.lua", "print(1) print(2)") }, { "run", file("write.lua", "io.write(1)") },
    { "run", file("long.lua", "io.stdout:write(('x'):rep(100000)) io.stdout:write 'y'") },
  }
  for _, words in ipairs(commands) do
    t.it("by " .. table.concat(words, " "):gsub(dir .. "/", "") .. " is told once and exits 1", function()
      local r = sh(words, ">/dev/full")
      t.eq(r.code, 1)
      local _, times = r.stderr:gsub(lost, "")
      t.eq({ times, r.stderr }, { 1, r.stderr })
    end)
  end

  t.it("fails no task, and changes no other code", function()
    local r = sh({ "run", flow }, ">/dev/full")
    t.has(r.stderr, "w completed")
    t.eq(r.code, 1)
    r = sh({ "run", file("exit.lua", "print(1) os.exit(3)") }, ">/dev/full")
    t.eq(r.code, 3)
  end)

  t.it("by a reader that left is told too", function()
    local r = sh({ "run", file("many.lua", "for _ = 1, 1e5 do print 'a line' end") }, "| head -n 1")
    t.eq(r.stdout, "a line\n")
    t.has(r.stderr, "Broken pipe")
  end)
end)

t.describe("what is lost on standard error", function()
  t.it("fails nothing: the document and the code are as ever", function()
    local r = sh({ "run", "--json", flow }, "2>/dev/full")
    t.eq(r.code, 0)
    local document = r:json()
    t.eq({ document.status, document.tasks[1].output }, { "completed", 1 })
    r = sh({ "run", flow }, "2>/dev/full")
    t.eq({ r.code, r.stdout }, { 0, "printed\nwrittenout\n" })
    r = sh({ "on", "local:", "local://", "--", "echo hi; echo no >&2" }, "2>/dev/full")
    t.eq(r.code, 0)
  end)
end)

t.describe("random numbers", function()
  t.it("differ from run to run", function()
    local path, seen = file("random.lua", "print(math.random(0))"), {}
    for _ = 1, 4 do
      local number = sh({ "run", path }, "").stdout
      t.no(seen[number])
      seen[number] = true
    end
  end)
end)

t.done()
