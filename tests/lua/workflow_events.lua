-- The exact fields and types of every event that a view of a run gets.
local t = require "spec"
local tutti = require "tutti"
local flow = require "_flow"

local function has_shape(value, expected, what)
  t.eq(what .. ": " .. t.shape(value), what .. ": " .. expected)
end

-- By type: every shape that it may have.
local shapes = {
  run_started = { "at:integer jobs:integer run:string total:integer type:string workflow:string" },
  attempt_started = { "at:integer attempt:integer environment:string index:integer task:string type:string" },
  output = { "at:integer index:integer phase:string stream:string task:string text:string type:string" },
  retry = { "at:integer attempt:integer delay_s:float error:table index:integer task:string type:string" },
  health = { "at:integer attempt:integer error:table index:integer task:string type:string",
    "at:integer attempt:integer index:integer task:string type:string" },
  task_ended = {
    -- skipped
    "at:integer attempts:integer done:integer index:integer reason:string status:string task:string "
      .. "total:integer type:string",
    -- a command that succeeded, or failed
    "at:integer attempts:integer done:integer duration_s:float environment:string exit_code:integer index:integer "
      .. "status:string task:string total:integer type:string",
    "at:integer attempts:integer done:integer duration_s:float environment:string error:table exit_code:integer "
      .. "index:integer status:string task:string total:integer type:string",
    -- a function
    "at:integer attempts:integer done:integer duration_s:float environment:string index:integer status:string "
      .. "task:string total:integer type:string",
    -- never started
    "at:integer attempts:integer done:integer error:table index:integer status:string task:string total:integer "
      .. "type:string",
  },
  tasks_added = { "at:integer by:string tasks:table total:integer type:string" },
  cancelling = { "at:integer error:table type:string" },
  warning = { "at:integer error:table index:integer task:string text:string type:string" },
  rollback_started = { "at:integer environment:string index:integer task:string type:string",
    "at:integer index:integer task:string type:string" },
  rollback_ended = { "at:integer duration_s:float index:integer status:string task:string type:string",
    "at:integer duration_s:float error:table index:integer status:string task:string type:string" },
  run_ended = { "at:integer duration_s:float status:string type:string" },
}

t.describe("the events of a run", function()
  local seen, met = {}, {}
  local function watch(outcome, _, events)
    for _, event in ipairs(events) do
      local given = t.shape(event)
      seen[event.type] = seen[event.type] or {}
      seen[event.type][given] = true
      met[#met + 1] = event
    end
    return outcome
  end
  local made, task, dir = flow.new()
  task "adds" { rollback = "false", run = function(ctx) ctx.flow.task "added" { run = "echo out" } end }
  task "again" { run = "test -e again || { touch again; exit 1; }", retries = 1, backoff = 0, rollback = "true",
    health = { run = "test -e well || { touch well; exit 1; }", retries = 1, interval = 0 } }
  task "never" { run = "true", when = false }
  task "ends" { needs = "again", run = "exit 5" }
  task "late" { needs = "ends", run = "true" }
  watch(flow.run(made, dir))
  made, task, dir = flow.new()
  t.write(dir .. "/state", "in the way")
  task "logs" { run = "echo out" }
  watch(flow.run(made, dir))
  made, task, dir = flow.new()
  task "waits" { run = "sleep 60" }
  task "behind" { needs = "waits", run = "true" }
  pcall(tutti.timeout, "200ms", function() watch(flow.run(made, dir)) end)

  t.it("have exactly these fields and types", function()
    local wrong = {}
    for kind, given in pairs(seen) do
      for one in pairs(given) do
        local known = false
        for _, expected in ipairs(shapes[kind] or {}) do
          known = known or expected == one
        end
        if not known then
          wrong[#wrong + 1] = kind .. ": " .. one
        end
      end
    end
    t.eq(table.concat(wrong, "\n"), "")
  end)
  t.it("were all met", function()
    local missing = {}
    for kind in pairs(shapes) do
      if not seen[kind] then
        missing[#missing + 1] = kind
      end
    end
    t.eq(table.concat(missing, " "), "")
  end)
  t.it("have errors of a kind and a message", function()
    for _, event in ipairs(met) do
      if event.error then
        has_shape(event.error, "kind:string message:string", event.type)
      end
    end
  end)
end)

t.done()
