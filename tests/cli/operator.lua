-- What operators write and type, as they would: scripts and options of every kind.
local t = require "spec"

local dir = t.tmpdir()
local head = 'local tutti = require "tutti"\nlocal flow = tutti.workflow "w"\nlocal task = flow.task\n'

-- A workflow in the test's folder, run with these words; the result.
local function run(source, ...)
  t.write(dir .. "/flow.lua", head .. source .. "\nreturn flow\n")
  return t.tutti { "run", "flow.lua", cwd = dir, ... }
end

-- The same with --json: the tasks of the document by their names, and the result.
local function tasks(source, ...)
  local r = run(source, "--json", ...)
  local by_id = {}
  for _, task in ipairs(r:json().tasks) do
    by_id[task.id] = task
  end
  return by_id, r
end

t.describe("a function's value", function()
  t.it("may be what all, map and table.pack return", function()
    local by_id = tasks [[
      local function echo(i) return tostring(tutti.here:run("echo %s", i)) end
      task "map" { run = function() return tutti.map({ 1, 2 }, echo) end }
      task "all" { run = function()
        return tutti.all { function() return 1 end, function() end, function() return 3 end }
      end }
      task "none" { run = function() return tutti.map({}, function() end) end }
      task "pack" { run = function() return table.pack(nil, "b", nil) end }
      task "n" { run = function() return { n = 3 } end }
      task "collect" { run = function()
        return #tutti.all({ function() error "x" end, function() return 1 end }, { errors = "collect" })
      end }]]
    local null = require("tutti").json.null
    t.eq(by_id.map.output, { "1", "2" })
    t.eq(by_id.all.output, { 1, null, 3 })
    t.eq(by_id.none.output, {})
    t.eq(by_id.pack.output, { null, "b", null })
    t.eq(by_id.n.output, { n = 3 })
    t.eq(by_id.collect.output, 2)
  end)
  t.it("that has both is refused with the reason", function()
    local by_id = tasks [[task "a" { run = function() return { 1, x = 2 } end }]]
    t.has(by_id.a.error.message, "has both list items and named fields")
  end)
end)

t.describe("parameters", function()
  local source = [[
    flow:params {
      version = { type = "string", required = true },
      env = { type = "string", default = "dev", choices = { "dev", "prod" } },
      n = { type = "integer" }, dry = { type = "boolean", default = false },
    }
    task "shell" { run = "echo $PARAM_version $PARAM_env $PARAM_n $PARAM_dry" }
    task "function" { run = function(ctx) return ctx.params end }]]
  t.it("reach commands and functions by their types", function()
    local by_id = tasks(source, "-p", "version=1.0", "-p", "n=4", "--param=dry=true")
    t.eq(by_id.shell.output, "1.0 dev 4 true\n")
    t.eq(by_id["function"].output, { version = "1.0", env = "dev", n = 4, dry = true })
  end)
  t.it("that are wrong are named, and nothing runs", function()
    for words, message in pairs {
      [{}] = "version is missing", [{ "-p", "version=1", "-p", "env=stage" }] = "env is one of dev, prod",
      [{ "-p", "version=1", "-p", "n=x" }] = "n is an integer",
      [{ "-p", "version=1", "-p", "dry=5" }] = "dry is a boolean",
      [{ "-p", "version=1", "-p", "version=2" }] = "given twice", [{ "-p", "=1" }] = "takes name=value",
    } do
      local r = run(source, table.unpack(words))
      t.eq({ r.code, r.stdout }, { 2, "" })
      t.has(r.stderr, message)
    end
  end)
end)

t.describe("a matrix", function()
  local source = [[
    task "test" { matrix = { os = { "linux", "mac" }, v = { 1, 2 } }, run = "echo $MATRIX_os-$MATRIX_v" }
    task "all" { needs = "test", run = function(ctx) return ctx.results["test[os=mac,v=2]"].stdout end }]]
  t.it("makes an instance of each, which others name and see", function()
    t.eq(tasks(source).all.output, "mac-2\n")
  end)
  t.it("can be selected whole or by instances, whose names hold commas", function()
    local _, r = tasks(source, "--only", "test")
    t.eq(#r:json().tasks, 4)
    _, r = tasks(source, "--only", "test[os=linux,v=1],test[os=mac,v=2]")
    t.eq({ #r:json().tasks, r:json().tasks[2].output }, { 2, "mac-2\n" })
  end)
end)

t.describe("a workflow that goes wrong", function()
  t.it("tries again with back-off, rolls back by a function, and says what failed", function()
    local by_id, r = tasks [[
      task "a" { run = "true", rollback = function(ctx) print("undo", ctx.task, ctx.env) end }
      task "b" { needs = "a", run = "echo oops >&2; exit 7", retries = 2,
        backoff = { first = "1ms", factor = 2, max = "1s", jitter = 0.5 } }]]
    t.eq({ by_id.a.status, by_id.b.attempts, by_id.b.exit_code }, { "rolled_back", 3, 7 })
    t.has(r.stderr, "undo\ta\tlocal:")
    t.has(r.stderr, "| oops")
  end)
  t.it("tells commands that cannot run apart", function()
    local by_id = tasks [[
      flow = tutti.workflow("w", { on_failure = "continue" })
      task = flow.task
      task "argv" { run = { "echo", "$(id)", "a  b" } }
      task "not_found" { run = { "no-such-program" } }
      task "cwd" { run = "true", cwd = "/nope" }
      task "artifact" { run = "true", output = "missing/**" }
      task "signal" { run = "kill -KILL $$" }
      task "script" { run = function() error "mine" end }
      task "connect" { run = "true", on = tutti.env "ssh://nobody@127.0.0.1:1", timeout = "20s" }]]
    t.eq(by_id.argv.output, "$(id) a  b\n")
    for _, kind in ipairs { "not_found", "cwd", "artifact", "signal", "script", "connect" } do
      t.eq({ kind, by_id[kind].error.kind }, { kind, kind })
    end
  end)
end)

t.describe("tutti on", function()
  local function on(...)
    return t.tutti { "on", ... }
  end
  t.it("takes its options, and refuses wrong ones before anything starts", function()
    local r = on("local:", "--cwd", "/", "--env", "A=b c", "--timeout", "10s", "--", "echo $A; pwd")
    t.eq({ r.code, r.stdout }, { 0, "b c\n/\n" })
    for words, message in pairs {
      [{ "--timeout", "x" }] = "tutti on: --timeout must be a duration", [{ "--cwd=" }] = "--cwd takes some text",
      [{ "--env", "A" }] = "--env takes NAME=value", [{ "--env", "1A=1" }] = "tutti on: '1A' is no name",
      [{ "--max-failures", "101%" }] = "--max-failures takes", [{ "--parallel", "0" }] = "--parallel takes",
      [{ "--cdw", "/" }] = "did you mean --cwd?",
    } do
      words[#words + 1] = "local:"
      table.move({ "--", "touch", dir .. "/ran" }, 1, 3, #words + 1, words)
      r = on(table.unpack(words))
      t.eq({ r.code, r.stdout, t.exists(dir .. "/ran") }, { 2, "", false })
      t.has(r.stderr, message)
    end
  end)
  t.it("exits 1 where one fails, and names it", function()
    local r = on("local:", "local://", "--fail-fast", "--", "echo x; exit 3")
    t.eq(r.code, 1)
    t.has(r.stdout, "ended with code 3")
    r = on("local:", "--timeout", "100ms", "--", "sleep 5")
    t.eq(r.code, 1)
    t.has(r.stderr, "tutti: local: the command timed out after 0.1s")
  end)
end)

t.describe("a file that is only looked at", function()
  t.it("touches no environment: an operation while it loads is refused", function()
    t.write(dir .. "/eager.lua", head .. [[
      tutti.here:run { "touch", "touched" }
      task "a" { run = "true" }
      return flow]])
    for _, words in ipairs { { "check" }, { "graph" }, { "graph", "--json" }, { "run", "--dry-run" } } do
      words[#words + 1], words.cwd = "eager.lua", dir
      local r = t.tutti(words)
      t.eq({ r.code, r.stdout, t.exists(dir .. "/touched") }, { 2, "", false })
      t.match(r.stderr, "eager%.lua:4: [^\n]*while the file is loaded for ")
    end
    t.eq(t.tutti { "run", "eager.lua", cwd = dir }.code, 0)
    t.ok(t.exists(dir .. "/touched"))
  end)
end)

t.describe("the directory of a task", function()
  t.it("is the script's, wherever tutti is started, unless given", function()
    t.write(dir .. "/flow.lua", head .. [[
      task "own" { run = "pwd" }
      task "given" { run = "pwd", cwd = "/" }
      task "function" { run = function(ctx) return tostring(ctx.env:run "pwd") end }
      return flow]])
    local r = t.tutti { "run", "--json", "--state", dir .. "/state", dir .. "/flow.lua", cwd = "/" }
    local outputs = {}
    for k, task in ipairs(r:json().tasks) do
      outputs[k] = task.output
    end
    t.eq(outputs, { dir .. "\n", "/\n", dir })
  end)
end)

t.describe("help", function()
  t.it("is of one command, or says what there is", function()
    for _, name in ipairs { "run", "check", "graph", "on" } do
      t.eq(t.tutti({ "help", name }).stdout, t.tutti({ name, "--help" }).stdout)
    end
    t.eq(t.tutti({ "help", "run", "extra" }).code, 2)
    t.has(t.tutti({ "help", "chek" }).stderr, "did you mean check?")
  end)
end)

t.done()
