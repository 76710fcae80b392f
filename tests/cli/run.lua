-- tutti run: exit codes, streams, options.
local t = require "spec"

local function script(source)
  local dir = t.tmpdir()
  local path = dir .. "/flow.lua"
  t.write(path, source)
  return path, dir
end

local head = 'local tutti = require "tutti"\nlocal flow = tutti.workflow "w"\nlocal task = flow.task\n'

t.describe("tutti run", function()
  t.it("runs a plain script and exits 0", function()
    local r = t.tutti { "run", (script 'print("hello", ...)'), "--", "a b", "c" }
    t.eq(r.code, 0)
    t.eq(r.stdout, "hello\ta b\tc\n")
  end)

  t.it("gives the script what follows -- in arg", function()
    local path = script 'print(#arg, arg[1], arg[2], arg[0])'
    local r = t.tutti { "run", path, "--", "--json", "-x" }
    t.eq(r.stdout, "2\t--json\t-x\t" .. path .. "\n")
  end)

  t.it("shows where a script failed, and what the failed command said", function()
    local r = t.tutti { "run", (script [[
      local function inner() require("tutti").here:run "echo why >&2; exit 3" end
      local function outer() inner() end
      outer()]]) }
    t.eq(r.code, 1)
    t.match(r.stderr, "^tutti: [^\n]*flow.lua:1: ended with code 3\n  | why\nstack traceback:\n")
    t.match(r.stderr, "flow.lua:1: in [^\n]*'inner'\n[^\n]*flow.lua:2: in [^\n]*'outer'\n[^\n]*flow.lua:3: ")
    r = t.tutti { "run", (script 'error { result = 5, traceback = {} }') }
    t.eq(r.stderr, "tutti: {result = 5, traceback = {}}\n")
  end)

  t.it("exits 0 for a completed workflow and writes progress to stderr only", function()
    local r = t.tutti { "run", (script(head .. 'task "a" { run = "echo out" }\nreturn flow')) }
    t.eq(r.code, 0)
    t.eq(r.stdout, "")
    t.has(r.stderr, "a | out")
    t.has(r.stderr, "w completed in")
  end)

  t.it("exits 1 for a failed one and reports the first cause with its output", function()
    local r = t.tutti { "run", (script(head .. [[
      task "a" { run = "echo because; echo why >&2; exit 3" }
      task "b" { needs = "a", run = "touch ran" }
      return flow]])) }
    t.eq(r.code, 1)
    t.has(r.stderr, "first cause:")
    t.has(r.stderr, "| why")
    t.match(r.stderr, "b%s+skipped")
  end)

  t.it("takes the -p parameters, and -j in both forms", function()
    local path = script(head .. 'flow:params { n = { type = "integer" } }\n'
      .. 'task "a" { run = "echo n=$PARAM_n" }\nreturn flow')
    for _, jobs in ipairs { { "-j", "1" }, { "-j1" }, { "--jobs=1" } } do
      local r = t.tutti { "run", path, "-p", "n=7", table.unpack(jobs) }
      t.eq(r.code, 0)
      t.has(r.stderr, "n=7")
    end
  end)

  t.it("runs --only the named tasks and what they need", function()
    local path = script(head .. [[
      task "a" { run = "echo a" }
      task "b" { needs = "a", run = "echo b" }
      task "c" { run = "echo c" }
      return flow]])
    local r = t.tutti { "run", path, "--only", "b" }
    t.eq(r.code, 0)
    t.has(r.stderr, "b | b")
    t.has(r.stderr, "a | a")
    t.no(r.stderr:find("c | c", 1, true))
    r = t.tutti { "run", path, "--only", "nope" }
    t.eq(r.code, 2)
    t.has(r.stderr, "nope")
  end)

  t.it("shows a dry run in order on stdout and touches nothing", function()
    local path, dir = script(head .. [[
      task "b" { needs = "a", run = "touch b" }
      task "a" { run = "touch a" }
      return flow]])
    local r = t.tutti { "run", path, "--dry-run", cwd = dir }
    t.eq(r.code, 0)
    t.match(r.stdout, "1%. a .*touch a.*2%. b .*touch b")
    t.eq(#tostring(require("tutti").here:run { "ls", "-A", dir }), #"flow.lua")
  end)

  t.it("keeps quiet with --quiet, but not about a failure", function()
    local r = t.tutti { "run", (script(head .. 'task "a" { run = "echo x" }\nreturn flow')), "--quiet" }
    t.eq(r.stderr, "")
    r = t.tutti { "run", (script(head .. 'task "a" { run = "false" }\nreturn flow')), "--quiet" }
    t.has(r.stderr, "first cause:")
  end)

  t.it("leaves what was done with --no-rollback", function()
    local path, dir = script(head .. [[
      task "a" { run = "true", rollback = "touch undone" }
      task "b" { needs = "a", run = "false" }
      return flow]])
    t.eq(t.tutti { "run", path, "--no-rollback" }.code, 1)
    t.no(io.open(dir .. "/undone"))
    t.eq(t.tutti { "run", path }.code, 1)
    t.ok(io.open(dir .. "/undone"))
  end)

  t.it("shows running tasks on a terminal, and keeps what a script prints there", function()
    local path = script(head .. [[
      task "waits" { run = "echo shown; sleep 0.6" }
      task "prints" { run = function()
        tutti.sleep "250ms"
        print "printed"
        io.stderr:write "no line"
        tutti.sleep "250ms"
        io.stderr:write " end\n"
      end }
      return flow]])
    local r = require("tutti").here:try { "script", "-qec", "stty cols 80 rows 24; "
      .. (os.getenv "TUTTI" or "tutti") .. " run " .. path, "/dev/null" }
    t.match(r.stdout, "waits +%d+ ms  shown")
    t.has(r.stdout, "0/2 done, 2 running")
    t.has(r.stdout, "\27[J" .. "printed\r\nno line end\r\n")
    t.match(r.stdout, "\27%[2A\r[^\n]*✓[^\n]* waits  completed")
  end)

  t.it("keeps up with a line that does not end", function()
    local r = t.tutti { "run", (script(head .. 'task "a" { run = "head -c 2000000 /dev/zero" }\nreturn flow')),
      timeout = "20s" }
    t.eq(r.code, 0)
  end)

  t.it("says that a log cannot be written, and still tells the outcome", function()
    local path = script(head .. 'task "a" { run = "echo out; exit 3" }\nreturn flow')
    local r = t.tutti { "run", path, "--state", "/proc/nowhere" }
    t.eq(r.code, 1)
    t.has(r.stderr, 'warning: the log of task "a" is incomplete')
    t.has(r.stderr, "its log is incomplete: /proc/nowhere")
  end)

  t.it("works with closed standard streams", function()
    local path = script(head .. 'task "a" { run = "cat; echo out; echo err >&2" }\nreturn flow')
    local command = { sh = { "%s run %s <&- 2>&-", os.getenv "TUTTI" or "tutti", path } }
    local r = require("tutti").here:try(command)
    t.eq({ r.code, r.stdout, r.stderr }, { 0, "", "" })
    command.sh[1] = "%s run --json %s <&- >&-"
    r = require("tutti").here:try(command)
    t.eq(r.code, 1)
    t.has(r.stderr, "standard output")
  end)

  t.it("stores logs and artifacts below --state, else TUTTI_STATE", function()
    local path, dir = script(head .. 'task "a" { run = "echo x > f; echo log", output = "f" }\nreturn flow')
    t.eq(t.tutti { "run", path, "--state", dir .. "/one" }.code, 0)
    t.ok(#require("tutti").here:glob(dir .. "/one/**") > 0)
    t.eq(t.tutti { "run", path, env = { TUTTI_STATE = dir .. "/two" } }.code, 0)
    t.ok(#require("tutti").here:glob(dir .. "/two/**") > 0)
  end)
end)

t.describe("tutti run --json", function()
  t.it("prints one document with the fields of the interface, and nothing else", function()
    local path = script(head .. [[
      task "a" { run = "echo hi; echo x > f; print() { :; }", output = "f" }
      task "b" { needs = "a", run = function() print "noise"; os.execute "echo more noise"; return { n = 1 } end }
      task "c" { needs = "b", run = "exit 9", rollback = "exit 4" }
      task "d" { needs = "c", run = "true" }
      print "loading"
      return flow]])
    local r = t.tutti { "run", path, "--json" }
    t.eq(r.code, 1)
    local doc = r:json()
    local fields = {}
    for key in pairs(doc) do
      fields[#fields + 1] = key
    end
    table.sort(fields)
    t.eq(table.concat(fields, " "), "duration_s run started_at status tasks workflow")
    t.eq(doc.workflow, "w")
    t.eq(doc.status, "failed")
    t.match(doc.started_at, "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d[%d.]*Z$")
    t.eq(math.type(doc.duration_s), "float")
    local a, b, c, d = table.unpack(doc.tasks)
    t.eq({ a.id, b.id, c.id, d.id }, { "a", "b", "c", "d" })
    local names = {}
    for key in pairs(a) do
      names[#names + 1] = key
    end
    table.sort(names)
    t.eq(table.concat(names, " "), "artifacts attempts duration_s environment error exit_code id "
      .. "output rollback started_at status")
    t.eq(a.output, "hi\n")
    t.eq(a.exit_code, 0)
    t.eq(a.environment, "local:")
    t.eq(a.artifacts[1].path, "f")
    t.eq(a.artifacts[1].size, 2)
    t.eq(#a.artifacts[1].sha256, 64)
    t.eq(b.output.n, 1)
    t.eq(c.status, "failed")
    t.eq(c.exit_code, 9)
    t.eq(c.error.kind, "exit")
    t.eq(c.rollback.status, "rollback_failed")
    t.eq(c.rollback.exit_code, 4)
    t.eq(d.status, "skipped")
    t.eq(d.attempts, 0)
  end)
end)

t.describe("bad input exits 2 with one clear message", function()
  local cases = {
    { "an unknown need", 'task "a" { needs = "bulid" }\ntask "build" { run = "true" }', "bulid.*build" },
    { "a cycle", 'task "a" { needs = "c" }\ntask "b" { needs = "a" }\ntask "c" { needs = "b" }', "a.*c.*b.*a" },
    { "a duplicate task", 'task "a" { run = "true" }\ntask "a" { run = "true" }', "flow.lua:5.*a" },
    { "an unknown option", 'task "a" { runn = "true" }', "flow.lua:4.*runn.*run" },
    { "a wrong type", 'task "a" { run = "true", retries = "many" }', "flow.lua:4.*retries" },
    { "a bad duration", 'task "a" { run = "true", timeout = "5 parsecs" }', "flow.lua:4.*timeout.*5 parsecs" },
    { "a missing parameter", 'flow:params { v = { type = "string", required = true } }\n'
      .. 'task "a" { run = "true" }', "v" },
    { "a syntax error", 'task "a" {', "flow.lua:%d" },
    { "a workflow without tasks", "", "no task" },
    { "a Lua error at load", "local x = nil; x.y = 1", "flow.lua:4" },
  }
  for _, case in ipairs(cases) do
    t.it(case[1], function()
      local path, dir = script(head .. case[2] .. "\nreturn flow")
      local r = t.tutti { "run", path, cwd = dir }
      t.eq(r.code, 2, r.stderr)
      t.match((r.stderr:gsub("\n", " ")), case[3])
      t.eq(r.stdout, "")
    end)
  end

  t.it("a workflow that is declared and not returned", function()
    for _, ending in ipairs { "", "return 5" } do
      local r = t.tutti { "run", (script(head .. 'task "a" { run = "true" }\n' .. ending)) }
      t.eq(r.code, 2)
      t.has(r.stderr, 'declares the workflow "w" and does not return it')
    end
  end)

  t.it("a missing file", function()
    local r = t.tutti { "run", "/no/such.lua" }
    t.eq(r.code, 2)
    t.has(r.stderr, "/no/such.lua")
  end)

  t.it("an unknown command or option, with a suggestion", function()
    local r = t.tutti { "rnu", "x.lua" }
    t.eq(r.code, 2)
    t.has(r.stderr, "run")
    r = t.tutti { "run", "x.lua", "--dryrun" }
    t.eq(r.code, 2)
    t.has(r.stderr, "--dry-run")
  end)

  t.it("a parameter that the workflow does not have", function()
    local path = script(head .. 'flow:params { version = {} }\ntask "a" { run = "true" }\nreturn flow')
    local r = t.tutti { "run", path, "-p", "vesion=1" }
    t.eq(r.code, 2)
    t.has(r.stderr, "version")
  end)
end)

t.describe("check and graph", function()
  local source = head .. [[
    task "a" { run = "true" }
    task "b" { needs = "a", run = "true" }
    task "c" { after = "a", run = "true" }
    return flow]]

  t.it("check says that a good file is fine, and runs nothing", function()
    local r = t.tutti { "check", (script(source)) }
    t.eq(r.code, 0)
    t.has(r.stdout, "3 tasks")
    r = t.tutti { "check", (script 'require("tutti").here:run "touch x"\nreturn nil') }
    t.eq(r.code, 2)
  end)

  t.it("graph draws a tree, dot text and JSON", function()
    local path = script(source)
    t.match(t.tutti { "graph", path }.stdout, "└─ a\n   ├─ b\n   └─ c")
    t.has(t.tutti { "graph", path, "--dot" }.stdout, '"a" -> "c" [style=dashed];')
    local doc = t.tutti { "graph", path, "--json" }:json()
    t.eq(doc.tasks[2].needs, { "a" })
    t.eq(doc.tasks[3].after, { "a" })
    t.has(t.tutti { "graph", path, "--json" }.stdout, '"input":[]')
  end)
end)

t.describe("help and version", function()
  t.it("help shows the commands, help run its options", function()
    local r = t.tutti { "help" }
    t.eq(r.code, 0)
    t.has(r.stdout, "tutti run FILE")
    t.has(t.tutti { "help", "run" }.stdout, "--dry-run")
    t.has(t.tutti { "run", "--help" }.stdout, "--dry-run")
    t.has(t.tutti { "help", "ssh" }.stdout, "tutti.ssh")
    t.match(t.tutti { "version" }.stdout, "^tutti %d+%.%d+%.%d+\n$")
    t.eq(t.tutti { "version", "--json" }.code, 2)
  end)

  t.it("no command at all is a mistake", function()
    local r = t.tutti {}
    t.eq(r.code, 2)
    t.eq(r.stdout, "")
  end)
end)

t.done()
