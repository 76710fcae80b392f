-- What happens when a task fails: cancelling, skipping, compensation, and what is reported.
local t = require "spec"
local flow = require "_flow"

t.describe("failure", function()
  t.it("cancels what runs, starts nothing new and skips what needed it", function()
    local made, task, dir = flow.new()
    task "bad" { run = "sleep 0.1; exit 3" }
    task "slow" { run = "sleep 6000", grace = "100ms" }
    task "child" { needs = "bad", run = "true" }
    task "grandchild" { needs = "child", run = "true" }
    task "later" { needs = "slow", run = "true" }
    local outcome, tasks = flow.run(made, dir)
    t.eq(outcome.status, "failed")
    t.eq(flow.statuses(outcome), { bad = "failed", slow = "cancelled", child = "skipped",
      grandchild = "skipped", later = "cancelled" })
    t.eq(tasks.bad.exit_code, 3)
    t.match(tasks.slow.error.message, 'task "bad" failed')
    t.eq(#outcome.causes, 1)
  end)

  t.it("with on_failure = wait lets what runs end", function()
    local made, task, dir = flow.new({ on_failure = "wait" })
    task "bad" { run = "false" }
    task "slow" { run = "sleep 0.3" }
    task "later" { needs = "slow", run = "true" }
    local outcome = flow.run(made, dir)
    t.eq(flow.statuses(outcome), { bad = "failed", slow = "completed", later = "cancelled" })
  end)

  t.it("with on_failure = continue lets independent branches go on", function()
    local made, task, dir = flow.new({ on_failure = "continue" })
    task "bad" { run = "false" }
    task "child" { needs = "bad", run = "true" }
    task "after" { after = "bad", run = "true" }
    task "slow" { run = "sleep 0.2" }
    task "later" { needs = "slow", run = "true" }
    local outcome = flow.run(made, dir)
    t.eq(outcome.status, "failed")
    t.eq(flow.statuses(outcome), { bad = "failed", child = "skipped", after = "completed",
      slow = "completed", later = "completed" })
  end)

  t.it("compensates in reverse order of ending, on failed and cancelled tasks too", function()
    local made, task, dir = flow.new()
    for _, name in ipairs { "one", "two" } do
      task(name) { needs = name == "two" and "one" or nil, run = "true",
        rollback = "echo " .. name .. " >>undone" }
    end
    task "slow" { run = "sleep 60", grace = "100ms", rollback = "echo slow >>undone" }
    task "bad" { needs = "two", run = "sleep 0.2; exit 1", rollback = "echo bad >>undone" }
    task "never" { needs = "bad", run = "true", rollback = "echo never >>undone" }
    local outcome, tasks = flow.run(made, dir)
    t.eq(t.slurp(dir .. "/undone"), "slow\nbad\ntwo\none\n")
    t.eq(flow.statuses(outcome), { one = "rolled_back", two = "rolled_back", slow = "cancelled",
      bad = "failed", never = "skipped" })
    t.eq(tasks.slow.rollback.status, "rolled_back")
    t.eq(tasks.never.rollback, nil)
  end)

  t.it("records a failing rollback and goes on with the others", function()
    local made, task, dir = flow.new()
    task "a" { run = "true", rollback = "echo a >>undone" }
    task "b" { needs = "a", run = "true", rollback = "echo broken >&2; exit 9" }
    task "c" { needs = "b", run = "false" }
    local outcome, tasks = flow.run(made, dir)
    t.eq(flow.statuses(outcome), { a = "rolled_back", b = "rollback_failed", c = "failed" })
    t.eq(tasks.b.rollback.exit_code, 9)
    t.eq(tasks.b.rollback.error.kind, "exit")
    t.eq(t.slurp(dir .. "/undone"), "a\n")
    t.eq(outcome.causes[1].task, "c")
    t.eq(outcome.causes[2].task, "b")
    t.eq(outcome.causes[2].rollback, true)
    t.eq(outcome.causes[2].stderr, "broken\n")
  end)

  t.it("compensates only the failed one with rollback = failed", function()
    local made, task, dir = flow.new({ rollback = "failed" })
    task "a" { run = "true", rollback = "echo a >>undone" }
    task "b" { needs = "a", run = "false", rollback = "echo b >>undone" }
    local outcome = flow.run(made, dir)
    t.eq(t.slurp(dir .. "/undone"), "b\n")
    t.eq(flow.statuses(outcome), { a = "completed", b = "failed" })
  end)

  t.it("compensates nothing with rollback = none, or when told so", function()
    for _, way in ipairs { "workflow", "run" } do
      local made, task, dir = flow.new(way == "workflow" and { rollback = "none" } or nil)
      task "a" { run = "true", rollback = "echo a >>undone" }
      task "b" { needs = "a", run = "false" }
      flow.run(made, dir, { rollback = way ~= "run" and nil or false })
      t.no(t.exists(dir .. "/undone"), way)
    end
  end)

  t.it("rolls back with a function and with a timeout", function()
    local made, task, dir = flow.new()
    local seen
    task "a" { run = "true", rollback = function(ctx) seen = ctx.task end }
    task "b" { needs = "a", run = "true", grace = "50ms",
      rollback = { run = "sleep 60", timeout = "100ms" } }
    task "c" { needs = "b", run = "false" }
    local _, tasks = flow.run(made, dir)
    t.eq(seen, "a")
    t.eq(tasks.b.rollback.error.kind, "timeout")
  end)

  t.it("reports a command that is not found, and a missing directory", function()
    local made, task, dir = flow.new({ on_failure = "continue" })
    task "shell" { run = "no-such-command-here" }
    task "argv" { run = { "no-such-command-here" } }
    task "cwd" { run = "true", cwd = dir .. "/nowhere" }
    local _, tasks = flow.run(made, dir)
    t.eq(tasks.shell.error.kind, "not_found")
    t.eq(tasks.argv.error.kind, "not_found")
    t.eq(tasks.cwd.error.kind, "cwd")
  end)

  t.it("never stops a task for its output, and keeps its tail", function()
    local made, task, dir = flow.new()
    task "loud" { run = "head -c 20000000 /dev/zero | tr '\\0' x; echo end" }
    task "reader" { needs = "loud", run = function(ctx)
      return { #ctx.results.loud.stdout, ctx.results.loud.truncated,
        ctx.results.loud.stdout:sub(-4) }
    end }
    local outcome, tasks = flow.run(made, dir, { output = false })
    t.eq(outcome.status, "completed")
    t.eq(tasks.reader.output, { 65536, true, "end\n" })
    local log = io.open(tasks.loud.log)
    t.eq(log:seek "end", 20000004)
    log:close()
  end)

  t.it("leaves no trace on disk when there is nothing to keep", function()
    local made, task, dir = flow.new()
    task "quiet" { run = "true" }
    local outcome = flow.run(made, dir)
    t.eq(outcome.path, nil)
    t.no(t.exists(dir .. "/state"))
  end)
end)

t.done()
