-- How tasks are ordered, started together, limited and tried again.
local t = require "spec"
local tutti = require "tutti"
local engine = require "tutti.engine"
local flow = require "_flow"

t.describe("scheduling", function()
  t.it("starts independent tasks together", function()
    local made, task, dir = flow.new()
    task "a" { run = "touch a; until [ -e b ]; do sleep 0.01; done" }
    task "b" { run = "touch b; until [ -e a ]; do sleep 0.01; done" }
    local outcome = flow.run(made, dir)
    t.eq(outcome.status, "completed")
  end)

  t.it("runs one at a time with jobs = 1", function()
    local made, task, dir = flow.new()
    task "a" { run = "sleep 0.4" }
    task "b" { run = "sleep 0.4" }
    local from = tutti.now()
    flow.run(made, dir, { jobs = 1 })
    t.ok(tutti.now() - from >= 0.8)
  end)

  t.it("respects needs and after, and starts the longest path first", function()
    local made, task, dir = flow.new()
    task "last" { needs = { "b", "b", "short" }, run = "echo last >>order" }
    task "short" { run = "echo short >>order" }
    task "a" { run = "echo a >>order" }
    task "b" { after = "a", run = "echo b >>order" }
    flow.run(made, dir, { jobs = 1 })
    t.eq(t.slurp(dir .. "/order"), "a\nshort\nb\nlast\n")
    local order = {}
    for i, index in ipairs(engine.order(made)) do
      order[i] = engine.task(made, index).id
    end
    t.eq(order, { "a", "short", "b", "last" })
  end)

  t.it("runs only what is asked for and what that needs", function()
    local made, task, dir = flow.new()
    task "a" { run = "true" }
    task "b" { needs = "a", run = "true" }
    task "c" { run = "false" }
    local outcome = flow.run(made, dir, { only = { "b" } })
    t.eq(flow.statuses(outcome), { a = "completed", b = "completed" })
  end)

  t.it("skips what `when` refuses, and what needs it", function()
    local made, task, dir = flow.new()
    task "a" { run = "true", when = function(ctx) return ctx.task ~= "a" end }
    task "b" { needs = "a", run = "true" }
    task "c" { after = "a", run = "true" }
    task "d" { run = "true", when = false }
    task "e" { run = "true", when = true }
    local outcome = flow.run(made, dir)
    t.eq(outcome.status, "completed")
    t.eq(flow.statuses(outcome),
      { a = "skipped", b = "skipped", c = "completed", d = "skipped", e = "completed" })
  end)

  t.it("lets a task without run gather others", function()
    local made, task, dir = flow.new()
    task "a" { run = "true" }
    task "b" { run = "true" }
    task "all" { needs = { "a", "b" } }
    task "end" { needs = "all", run = "true" }
    local outcome, tasks = flow.run(made, dir)
    t.eq(outcome.status, "completed")
    t.eq(tasks.all.status, "completed")
    t.eq(tasks.all.output, nil)
  end)

  t.it("takes a task in one call as well", function()
    local made, _, dir = flow.new()
    made.task("a", { run = "pwd", cwd = dir })
    local _, tasks = flow.run(made, dir)
    t.eq(tasks.a.output, dir .. "\n")
  end)

  t.it("never has more tasks at once than jobs", function()
    local made, task, dir = flow.new()
    for i = 1, 6 do
      task("t" .. i) { run = "echo + >>log; sleep 0.1; echo - >>log" }
    end
    flow.run(made, dir, { jobs = 2 })
    local now, most = 0, 0
    for mark in t.slurp(dir .. "/log"):gmatch "[+-]" do
      now = now + (mark == "+" and 1 or -1)
      most = math.max(most, now)
    end
    t.ok(most <= 2, most)
  end)
end)

t.describe("retries", function()
  t.it("are tries after the first, with back-off", function()
    local made, task, dir = flow.new()
    task "a" { run = "echo x >>tries; test $(wc -l <tries) -ge 3", retries = 3, backoff = "100ms" }
    local from = tutti.now()
    local outcome, tasks, seen = flow.run(made, dir)
    t.eq(outcome.status, "completed")
    t.eq(tasks.a.attempts, 3)
    t.eq(flow.names(seen, "retry"), { "a", "a" })
    t.ok(tutti.now() - from >= 0.2)
  end)

  t.it("end with the last error", function()
    local made, task, dir = flow.new()
    task "a" { run = "echo no >&2; exit 5", retries = 1, backoff = { first = 0 } }
    local outcome, tasks = flow.run(made, dir)
    t.eq(outcome.status, "failed")
    t.eq(tasks.a.attempts, 2)
    t.eq(tasks.a.exit_code, 5)
    t.eq(tasks.a.error.kind, "exit")
    t.eq(outcome.causes[1].task, "a")
    t.eq(outcome.causes[1].stderr, "no\n")
  end)

  t.it("never apply to what cannot change", function()
    local made, task, dir = flow.new()
    task "a" { run = function() error(tutti.Error { kind = "invalid", message = "no" }) end,
      retries = 5, backoff = 0 }
    local _, tasks = flow.run(made, dir)
    t.eq(tasks.a.attempts, 1)
    t.eq(tasks.a.error.kind, "invalid")
  end)

  t.it("of a function see ctx.attempt", function()
    local made, task, dir = flow.new()
    task "a" { run = function(ctx) if ctx.attempt < 3 then error "again" end return ctx.attempt end,
      retries = 3, backoff = 0 }
    local _, tasks = flow.run(made, dir)
    t.eq(tasks.a.output, 3)
  end)
end)

t.describe("time", function()
  t.it("out of an attempt ends the command's whole group", function()
    local made, task, dir = flow.new()
    task "a" { run = "sleep 60 & sleep 60", timeout = "200ms", grace = "100ms" }
    local from = tutti.now()
    local _, tasks = flow.run(made, dir)
    t.between(tutti.now() - from, 0.2, 30)
    t.eq(tasks.a.error.kind, "timeout")
  end)

  t.it("out of a function cancels it", function()
    local made, task, dir = flow.new()
    local cleaned = false
    task "a" { timeout = "100ms", run = function()
      local guard <close> = setmetatable({}, { __close = function() cleaned = true end })
      tutti.sleep "60s"
      return guard
    end }
    local _, tasks = flow.run(made, dir)
    t.eq(tasks.a.error.kind, "timeout")
    t.ok(cleaned)
  end)

  t.it("of the whole task bounds its retries", function()
    local made, task, dir = flow.new()
    task "a" { run = "false", retries = 100, backoff = "100ms", deadline = "350ms" }
    local _, tasks = flow.run(made, dir)
    t.eq(tasks.a.status, "failed")
    t.between(tasks.a.attempts, 1, 4) -- a wait of 100 ms lies between two
  end)
end)

t.describe("health", function()
  t.it("is checked until it passes, without running the task again", function()
    local made, task, dir = flow.new()
    task "a" { run = "echo run >>runs",
      health = { run = "echo x >>checks; test $(wc -l <checks) -ge 3", retries = 5, interval = "20ms" } }
    local outcome = flow.run(made, dir)
    t.eq(outcome.status, "completed")
    t.eq(t.slurp(dir .. "/runs"), "run\n")
    t.eq(#t.slurp(dir .. "/checks"), 6)
  end)

  t.it("that never passes fails the task with kind health", function()
    local made, task, dir = flow.new()
    task "a" { run = "echo run >>runs", retries = 4,
      health = { run = { "false" }, retries = 2, interval = "10ms" } }
    local _, tasks, seen = flow.run(made, dir)
    t.eq(tasks.a.error.kind, "health")
    t.match(tasks.a.error.message, "failed 3 times")
    t.eq(#flow.names(seen, "health"), 2)
    t.eq(t.slurp(dir .. "/runs"), "run\n")
  end)

  t.it("has a timeout of its own", function()
    local made, task, dir = flow.new()
    task "a" { run = "true", grace = "50ms", health = { run = "sleep 60", timeout = "100ms" } }
    local from = tutti.now()
    local _, tasks = flow.run(made, dir)
    t.eq(tasks.a.error.kind, "health")
    t.match(tasks.a.error.message, "timed out")
    t.between(tutti.now() - from, 0.1, 30)
  end)

  t.it("as a function passes unless it raises or returns false", function()
    local made, task, dir = flow.new({ on_failure = "continue" })
    task "nothing" { run = "true", health = function() end }
    task "yes" { run = "true", health = function() return "fine" end }
    task "no" { run = "true", health = function() return false end }
    task "none" { run = "true", health = function() return nil end }
    task "raises" { run = "true", health = function() error "sick" end }
    local _, tasks = flow.run(made, dir)
    t.eq(tasks.nothing.status, "completed")
    t.eq(tasks.yes.status, "completed")
    for _, name in ipairs { "no", "none", "raises" } do
      t.eq(tasks[name].error.kind, "health", name)
    end
    t.match(tasks.raises.error.message, "sick")
  end)
end)

t.done()
