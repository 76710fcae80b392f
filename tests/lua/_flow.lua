-- What the specs of workflows share.
local t = require "spec"
local tutti = require "tutti"
local engine = require "tutti.engine"

local flow = {}

-- A workflow whose tasks run in a fresh folder, which `dir` names.
function flow.new(options)
  local dir = t.tmpdir()
  local made = tutti.workflow("test", options)
  local function task(name)
    return function(spec)
      spec.cwd = spec.cwd or dir
      made.task(name)(spec)
    end
  end
  return made, task, dir
end

-- Runs it; the outcome, and the events that came.
function flow.run(made, dir, options)
  local seen = {}
  options = options or {}
  options.state = dir .. "/state"
  local outcome = engine.run(made, options, function(events, n)
    for i = 1, n do
      seen[#seen + 1] = events[i]
    end
  end)
  local tasks = {}
  for _, task in ipairs(outcome.tasks) do
    tasks[task.id] = task
  end
  return outcome, tasks, seen
end

-- The names in an event list of that type, in order.
function flow.names(seen, kind)
  local names = {}
  for _, event in ipairs(seen) do
    if event.type == kind then
      names[#names + 1] = event.task
    end
  end
  return names
end

-- Statuses by task.
function flow.statuses(outcome)
  local statuses = {}
  for _, task in ipairs(outcome.tasks) do
    statuses[task.id] = task.status
  end
  return statuses
end

return flow
