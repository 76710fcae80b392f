-- What machines read: the exact fields and types of the document of `run --json`.
local t = require "spec"
local tutti = require "tutti"

local function has_shape(value, expected, what)
  t.eq(what .. ": " .. t.shape(value), what .. ": " .. expected)
end

local moment = "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$"

local script = [[
local tutti = require "tutti"
local flow = tutti.workflow "w"
local task = flow.task
task "command" { run = "echo hi; printf '\\377'; echo x > f", output = "f", rollback = "exit 4" }
task "value" { needs = "command", run = function() return { n = 1, list = { true } } end, rollback = "true" }
task "nothing" { needs = "value", run = function() end }
task "fails" { needs = "nothing", run = "exit 9", retries = 1, backoff = 0, rollback = { "/no/such/program" } }
task "skipped" { needs = "fails", run = "true" }
task "cancelled" { run = "sleep 60" }
task "never" { needs = "cancelled", run = "true" }
return flow]]

t.describe("the document of run --json", function()
  local dir = t.tmpdir()
  t.write(dir .. "/flow.lua", script)
  local r = t.tutti { "run", "--json", "flow.lua", cwd = dir }
  local document = r:json()
  local by_id, ids = {}, {}
  for k, task in ipairs(document.tasks) do
    by_id[task.id], ids[k] = task, task.id
  end

  t.it("is one line, and all of stdout", function()
    t.match(r.stdout, "^{[^\n]*}\n$")
    t.eq(r.code, 1)
  end)
  t.it("has exactly these fields", function()
    has_shape(document, "duration_s:float run:string started_at:string status:string tasks:table workflow:string",
      "document")
    t.match(document.started_at, moment)
    t.eq({ document.workflow, document.status }, { "w", "failed" })
    t.match(document.run, "^%d+%-%d+%-%x+$")
  end)
  t.it("has the tasks in the order of declaration, each with exactly these fields", function()
    t.eq(ids, { "command", "value", "nothing", "fails", "skipped", "cancelled", "never" })
    local ran = "artifacts:table attempts:integer duration_s:float environment:string error:%s "
      .. "exit_code:%s id:string output:%s rollback:%s started_at:string status:string"
    has_shape(by_id.command, ran:format("null", "integer", "string", "table"), "command")
    has_shape(by_id.value, ran:format("null", "null", "table", "table"), "value")
    has_shape(by_id.nothing, ran:format("null", "null", "null", "null"), "nothing")
    has_shape(by_id.fails, ran:format("table", "integer", "string", "table"), "fails")
    has_shape(by_id.cancelled, ran:format("table", "integer", "string", "null"), "cancelled")
    local not_run = "artifacts:table attempts:integer duration_s:null environment:string error:%s "
      .. "exit_code:null id:string output:null rollback:null started_at:null status:string"
    has_shape(by_id.skipped, not_run:format "null", "skipped")
    has_shape(by_id.never, not_run:format "table", "never")
    for _, task in ipairs(document.tasks) do
      t.eq(task.environment, "local:")
      t.ok(task.started_at == tutti.json.null or task.started_at:match(moment), task.started_at)
      if task.error ~= tutti.json.null then
        has_shape(task.error, "kind:string message:string", "error")
      end
    end
  end)
  t.it("tells what became of each", function()
    local statuses = {}
    for k, task in ipairs(document.tasks) do
      statuses[k] = task.status
    end
    t.eq(statuses, { "rollback_failed", "rolled_back", "completed", "failed", "skipped", "cancelled", "cancelled" })
    t.eq({ by_id.command.output, by_id.command.exit_code }, { "hi\n\u{FFFD}", 0 })
    t.eq(by_id.value.output, { n = 1, list = { true } })
    t.eq({ by_id.fails.attempts, by_id.fails.exit_code, by_id.fails.error.kind }, { 2, 9, "exit" })
    t.eq({ by_id.skipped.attempts, by_id.never.error.kind }, { 0, "cancelled" })
  end)
  t.it("has the rollbacks and the artifacts with exactly these fields", function()
    has_shape(by_id.command.rollback, "error:table exit_code:integer status:string", "rollback")
    has_shape(by_id.command.rollback.error, "kind:string message:string", "its error")
    t.eq({ by_id.command.rollback.status, by_id.command.rollback.exit_code }, { "rollback_failed", 4 })
    has_shape(by_id.value.rollback, "error:null exit_code:integer status:string", "rollback")
    t.eq(by_id.value.rollback.status, "rolled_back")
    t.eq({ by_id.fails.rollback.status, by_id.fails.rollback.error.kind }, { "rollback_failed", "not_found" })
    has_shape(by_id.command.artifacts[1], "mode:string path:string sha256:string size:integer", "artifact")
    t.eq({ #by_id.command.artifacts, #by_id.value.artifacts }, { 1, 0 })
    t.match(by_id.command.artifacts[1].sha256, "^" .. ("%x"):rep(64) .. "$")
    t.match(by_id.command.artifacts[1].mode, "^0[0-7][0-7][0-7]$")
  end)
end)

t.done()
