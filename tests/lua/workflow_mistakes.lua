-- Mistakes in a workflow's declaration: each is refused with file and line before anything runs.
local t = require "spec"
local tutti = require "tutti"
local engine = require "tutti.engine"

-- Declares with f(task, flow) and checks; the message of what is raised.
local function mistake(f)
  local flow = tutti.workflow "w"
  local e = t.raises("invalid", function()
    f(flow.task, flow)
    engine.check(flow, {})
  end)
  t.match(e.message, "^[^\n]*workflow_mistakes.lua:%d+: ")
  return e.message
end

t.describe("a mistake", function()
  t.it("unknown dependency", function()
    t.has(mistake(function(task)
      task "build" { run = "true" }
      task "deploy" { run = "true", needs = "biuld" }
    end), 'task "deploy" needs "biuld", which does not exist; did you mean "build"?')
    t.has(mistake(function(task) task "a" { run = "true", after = "zzz" } end), '"zzz"')
  end)

  t.it("cycle, named whole", function()
    local message = mistake(function(task)
      task "a" { run = "true", needs = "c" }
      task "b" { run = "true", needs = "a" }
      task "c" { run = "true", needs = "b" }
    end)
    t.has(message, "a -> c -> b -> a")
    t.has(mistake(function(task) task "self" { run = "true", needs = "self" } end), "self")
  end)

  t.it("duplicate task", function()
    local message = mistake(function(task)
      task "a" { run = "true" }
      task "a" { run = "true" }
    end)
    t.match(message, 'task "a" is declared twice: the first time at .*workflow_mistakes.lua:%d+$')
  end)

  t.it("unknown option, with a suggestion", function()
    local message = mistake(function(task) task "a" { run = "true", need = "b" } end)
    t.match(message, 'task "a"')
    t.has(message, "needs")
  end)

  t.it("wrong type", function()
    for _, spec in ipairs {
      { run = 1 }, { run = true }, { run = {} }, { run = { {} } }, { run = "true", needs = 1 },
      { run = "true", cwd = {} }, { run = "true", cwd = "" }, { run = "true", env = "x" },
      { run = "true", env = { A = {} } }, { run = "true", env = { "A=1" } },
      { run = "true", env = { ["A;touch x;B"] = "1" } }, { run = "true", user = "a b" },
      { run = "true", retries = "x" }, { run = "true", retries = -1 }, { run = "true", retries = 1.5 },
      { run = "true", when = "x" }, { run = "true", on = 5 }, { run = "true", matrix = "x" },
      { run = "true", output = {} }, { run = "true", input = 7 }, { run = "true", health = {} },
      { run = "true", health = { run = "true", retry = 1 } }, { run = "true", rollback = { timeout = 1 } },
      { run = "true", backoff = "1s" }, { run = "true", idempotent = true },
      { run = "true", retries = 1, backoff = { first = "1s", factor = 0 } },
      { run = "true", retries = 1, backoff = true }, { run = "nul\0" }, { run = { "nul\0" } }, {},
    } do
      local message = mistake(function(task) task "t" (spec) end)
      t.has(message, 'task "t"', t.show(spec))
    end
    t.has(mistake(function(task) task "t" { needs = "u", rollback = "x" } end), "nothing to roll back")
    t.has(mistake(function(task) task "t" "true" end), "expected a table")
  end)

  t.it("empty command", function()
    for _, spec in ipairs {
      { run = "" }, { run = "true", rollback = "" }, { run = "true", health = { run = "" } },
    } do
      t.has(mistake(function(task) task "t" (spec) end), "an empty string is not", t.show(spec))
    end
  end)

  t.it("bad pattern", function()
    for pattern, why in pairs { ["/etc/passwd"] = "absolute", ["a/../b"] = '".."', ["a["] = "'['" } do
      for _, option in ipairs { "input", "output" } do
        local message = mistake(function(task) task "t" { run = "true", [option] = { pattern } } end)
        t.has(message, ("task \"t\": option '%s'"):format(option))
        t.has(message, why)
      end
    end
  end)

  t.it("bad duration", function()
    for _, spec in ipairs {
      { run = "true", timeout = "5 parsecs" }, { run = "true", deadline = "x" },
      { run = "true", timeout = -1 }, { run = "true", timeout = 0 }, { run = "true", grace = {} },
      { run = "true", health = { run = "true", interval = "1y" } },
      { run = "true", rollback = { run = "true", timeout = "soon" } },
    } do
      local message = mistake(function(task) task "t" (spec) end)
      t.match(message, "duration", t.show(spec))
    end
  end)

  t.it("no tasks at all", function()
    t.has(mistake(function() end), 'workflow "w" has no tasks')
  end)

  t.it("a name without its table", function()
    t.has(mistake(function(task)
      task "a" { run = "true" }
      task "b"
    end), 'task "b" has a name and nothing else')
  end)

  t.it("a bad name", function()
    t.has(mistake(function(task) task "" { run = "true" } end), "empty")
    t.has(mistake(function(task) task(5) { run = "true" } end), "task: the name must be a string")
    t.has(mistake(function(_, flow) flow:task "a" end), "not as a method")
  end)

  t.it("an unknown field of the workflow, with a suggestion", function()
    t.has(mistake(function(_, flow) flow.tsak "a" { run = "true" } end), 'did you mean "task"?')
  end)

  t.it("a wrong option of the workflow", function()
    for _, options in ipairs { { on_failure = "explode" }, { rollback = "sometimes" }, { jobs = 0 },
      { onfailure = "wait" } } do
      t.raises("invalid", function() tutti.workflow("w", options) end)
    end
    t.raises("invalid", function() tutti.workflow "" end)
    t.raises("invalid", function() tutti.workflow {} end)
    t.raises("invalid", function() tutti.workflow "two\nlines" end)
  end)

  t.it("unknown names in only", function()
    local flow = tutti.workflow "w"
    flow.task "build" { run = "true" }
    local e = t.raises("invalid", function() engine.check(flow, { only = { "biuld" } }) end)
    t.has(e.message, 'no task "biuld"; did you mean "build"?')
  end)

  t.it("one function's name twice", function()
    t.has(mistake(function(_, flow)
      flow:fn("f", print)
      flow:fn("f", print)
    end), '"f"')
  end)
end)

t.done()
