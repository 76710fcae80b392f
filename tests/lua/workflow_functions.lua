-- Tasks that are Lua functions: ctx, values, errors; tasks added to the running graph.
local t = require "spec"
local tutti = require "tutti"
local flow = require "_flow"

t.describe("ctx", function()
  t.it("has params, results, env, task and attempt", function()
    local made, task, dir = flow.new()
    made:params { version = { default = "1.2" } }
    task "a" { run = "echo $PARAM_version" }
    task "b" { needs = "a", env = { COLOUR = "blue" }, run = function(ctx)
      return { ctx.params.version, ctx.results.a.stdout, ctx.results.a.ok, ctx.task, ctx.attempt,
        tostring(ctx.env:run "pwd"), tostring(ctx.env:run "echo $COLOUR"), ctx.flow.name }
    end }
    local outcome, tasks = flow.run(made, dir)
    t.eq(outcome.status, "completed", outcome.causes[1] and outcome.causes[1].message)
    t.eq(tasks.b.output, { "1.2", "1.2\n", true, "b", 1, dir, "blue", "test" })
  end)

  t.it("refuses the result of a task that does not come before", function()
    local made, task, dir = flow.new({ on_failure = "continue" })
    task "other" { run = "true" }
    task "a" { run = function(ctx) return ctx.results.other end }
    task "b" { run = function(ctx) return ctx.results.nobody end }
    local _, tasks = flow.run(made, dir)
    t.eq(tasks.a.error.kind, "invalid")
    t.match(tasks.a.error.message, 'task "other" does not come before "a"')
    t.match(tasks.b.error.message, 'there is no task "nobody"')
  end)

  t.it("walks over the results of all that come before, in the order of declaration", function()
    local made, task, dir = flow.new()
    task "m" { matrix = { v = { 1, 2 } }, run = "echo $MATRIX_v" }
    task "silent" { run = function() end }
    task "f" { needs = "m", run = function() return "value" end }
    task "other" { run = "true" }
    task "end" { needs = { "f", "silent" }, run = function(ctx)
      local seen = {}
      for name, result in pairs(ctx.results) do
        seen[#seen + 1] = name .. "=" .. tostring(result)
      end
      return seen
    end }
    local _, tasks = flow.run(made, dir)
    t.eq(tasks["end"].output, { "m[v=1]=1", "m[v=2]=2", "f=value" })
  end)

  t.it("names no functions while a task runs", function()
    local made, task, dir = flow.new()
    task "a" { run = function() made:fn("late", print) end }
    local _, tasks = flow.run(made, dir)
    t.eq(tasks.a.error.kind, "invalid")
    t.has(tasks.a.error.message, "while the file loads")
  end)

  t.it("is over when the function has ended", function()
    local made, task, dir = flow.new()
    local kept
    task "a" { run = "true" }
    task "b" { needs = "a", run = function(ctx) kept = ctx end }
    flow.run(made, dir)
    t.raises("invalid", function() return kept.results.a end)
    t.raises("invalid", function() kept.flow.task "late" { run = "true" } end)
  end)

  t.it("gives the values of earlier functions as they were", function()
    local made, task, dir = flow.new()
    local value = { list = { 1, 2.5, "x" }, nested = { deep = { true } }, big = 9007199254740993 }
    task "a" { run = function() return value end }
    task "b" { needs = "a", run = function(ctx) return ctx.results.a.big == value.big end }
    local _, tasks = flow.run(made, dir)
    t.eq(tasks.a.output, value)
    t.eq(tasks.b.output, true)
  end)
end)

t.describe("the time of a function", function()
  t.it("counts while it computes, too", function()
    local made, task, dir = flow.new()
    task "busy" { run = function()
      local from = os.clock()
      while os.clock() - from < 0.2 do end
      local before = tutti.now()
      tutti.sleep "100ms"
      return tutti.now() - before
    end }
    local _, tasks = flow.run(made, dir)
    t.ok(tasks.busy.duration_s >= 0.29, tasks.busy.duration_s)
    t.ok(tasks.busy.output >= 0.099, tasks.busy.output)
  end)
end)

t.describe("errors of functions", function()
  t.it("are of kind script, with file and line", function()
    local made, task, dir = flow.new()
    task "a" { run = function() error "integration tests" end }
    local outcome, tasks = flow.run(made, dir)
    t.eq(tasks.a.error.kind, "script")
    t.match(tasks.a.error.message, "workflow_functions.lua:%d+: integration tests")
    t.eq(outcome.causes[1].kind, "script")
    t.match(outcome.causes[1].traceback, "^stack traceback:\n\t[^\n]*workflow_functions.lua:%d+: in function")
  end)

  t.it("keep the kind and the output of a command that failed in them", function()
    local made, task, dir = flow.new()
    task "a" { run = function(ctx) ctx.env:run "echo why >&2; exit 7" end }
    local outcome, tasks = flow.run(made, dir)
    t.eq(tasks.a.error.kind, "exit")
    t.eq(outcome.causes[1].stderr, "why\n")
  end)

  t.it("come from a value that cannot be kept", function()
    local made, task, dir = flow.new({ on_failure = "continue" })
    task "a" { run = function() return { f = print } end }
    task "b" { run = function() return 0 / 0 end }
    local _, tasks = flow.run(made, dir)
    t.eq(tasks.a.error.kind, "script")
    t.match(tasks.a.error.message, "f is a function")
    t.eq(tasks.b.error.kind, "script")
  end)

  t.it("do not wake up what waits in them", function()
    local made, task, dir = flow.new()
    task "a" { run = function()
      tutti.all { function() tutti.sleep "1h" end, function() error "first" end }
    end }
    local _, tasks = flow.run(made, dir)
    t.match(tasks.a.error.message, "first")
  end)
end)

t.describe("tasks added by a running function", function()
  t.it("join when it returns, and run", function()
    local made, task, dir = flow.new()
    local named = made:fn("named", function(ctx) return ctx.task .. " ran" end)
    task "first" { run = "true" }
    task "plan" { run = function(ctx)
      ctx.flow.task "x" { run = "echo x >>order", cwd = dir, needs = "first" }
      ctx.flow.task "y" { run = "echo y >>order", cwd = dir, needs = { "x" } }
      ctx.flow.task "z" { run = named, needs = "y" }
      t.no(t.exists(dir .. "/order"))
    end }
    local outcome, tasks, seen = flow.run(made, dir)
    t.eq(outcome.status, "completed")
    t.eq(t.slurp(dir .. "/order"), "x\ny\n")
    t.eq(tasks.z.output, "z ran")
    local added
    for _, event in ipairs(seen) do
      if event.type == "tasks_added" then added = event end
    end
    t.eq(added.tasks, { "x", "y", "z" })
    t.eq(added.by, "plan")
    t.eq(outcome.tasks[5].id, "z")
  end)

  t.it("are dropped when it fails", function()
    local made, task, dir = flow.new()
    task "plan" { run = function(ctx)
      ctx.flow.task "x" { run = "echo x >>order", cwd = dir }
      error "no"
    end }
    local outcome = flow.run(made, dir)
    t.eq(#outcome.tasks, 1)
    t.no(t.exists(dir .. "/order"))
  end)

  t.it("are checked together", function()
    local cases = {
      { 'needs "nobody"', function(f) f.task "x" { run = "true", needs = "nobody" } end, "nobody" },
      { "a cycle", function(f)
        f.task "x" { run = "true", needs = "y" }
        f.task "y" { run = "true", needs = "x" }
      end, "x" },
      { "a name twice", function(f) f.task "plan" { run = "true" } end, "plan" },
      { "an unnamed function", function(f) f.task "x" { run = function() end } end, "flow:fn" },
      { "a name without a table", function(f) f.task "x" end, 'task "x"' },
    }
    for _, case in ipairs(cases) do
      local made, task, dir = flow.new()
      task "plan" { run = function(ctx) case[2](ctx.flow) end, retries = 3, backoff = 0 }
      local outcome, tasks = flow.run(made, dir)
      t.eq(tasks.plan.error.kind, "invalid", case[1])
      t.has(tasks.plan.error.message, case[3], case[1])
      t.eq(#outcome.tasks, 1, case[1])
      t.eq(tasks.plan.attempts, 1, case[1])
    end
  end)

  t.it("cannot be added from a condition", function()
    local made, task, dir = flow.new()
    task "a" { run = "true", when = function(ctx) ctx.flow.task "x" { run = "true" } end }
    local _, tasks = flow.run(made, dir)
    t.eq(tasks.a.error.kind, "invalid")
  end)
end)

t.done()
