-- Artifacts: collected after success, laid out before a task that asks for them.
local t = require "spec"
local flow = require "_flow"

t.describe("artifacts", function()
  t.it("are carried from one task's folder to another's", function()
    local made, task, dir = flow.new()
    task "build" { run = "mkdir -p out/sub && printf one >out/a && printf two >out/sub/.b && chmod 750 out/a",
      output = { "out/**" } }
    task "use" { needs = "build", cwd = t.tmpdir(), input = "out/**",
      run = "cat out/a out/sub/.b; stat -c %a out/a" }
    local outcome, tasks = flow.run(made, dir)
    t.eq(outcome.status, "completed", outcome.causes[1] and outcome.causes[1].message)
    t.eq(tasks.use.output, "onetwo750\n")
    local paths = {}
    for i, artifact in ipairs(tasks.build.artifacts) do
      paths[i] = artifact.path
    end
    t.eq(paths, { "out/a", "out/sub/.b" })
    t.eq(tasks.build.artifacts[1].size, 3)
    t.eq(tasks.build.artifacts[1].mode, "0750")
    t.eq(tasks.build.artifacts[1].sha256,
      "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed")
  end)

  t.it("come from any ancestor", function()
    local made, task, dir = flow.new()
    task "build" { run = "echo x >file", output = "file" }
    task "between" { needs = "build", run = "true" }
    task "use" { needs = "between", cwd = t.tmpdir(), input = "file", run = "cat file" }
    local _, tasks = flow.run(made, dir)
    t.eq(tasks.use.output, "x\n")
  end)

  t.it("fail the task when a pattern matches nothing", function()
    local made, task, dir = flow.new()
    task "build" { run = "touch a", output = { "a", "nothing/*" }, retries = 2, backoff = 0 }
    local _, tasks = flow.run(made, dir)
    t.eq(tasks.build.status, "failed")
    t.eq(tasks.build.error.kind, "artifact")
    t.has(tasks.build.error.message, "nothing/*")
    t.eq(tasks.build.attempts, 1)
  end)

  t.it("fail the task whose input matches nothing", function()
    local made, task, dir = flow.new()
    task "build" { run = "touch a", output = "a" }
    task "use" { needs = "build", input = "b", run = "echo ran >>log" }
    local _, tasks = flow.run(made, dir)
    t.eq(tasks.use.error.kind, "artifact")
    t.no(t.exists(dir .. "/log"))
  end)

  t.it("are refused when two ancestors give one path different content", function()
    for _, content in ipairs { "same", "other" } do
      local made, task, dir = flow.new()
      task "a" { run = "echo same >file", cwd = t.tmpdir(), output = "file" }
      task "b" { run = "echo " .. content .. " >file", cwd = t.tmpdir(), output = "file" }
      task "use" { needs = { "a", "b" }, cwd = t.tmpdir(), input = "file", run = "cat file" }
      local _, tasks = flow.run(made, dir)
      if content == "same" then
        t.eq(tasks.use.output, "same\n")
      else
        t.eq(tasks.use.error.kind, "invalid")
        t.match(tasks.use.error.message, "a")
      end
    end
  end)

  t.it("survive the folder that they came from", function()
    local made, task, dir = flow.new()
    local source = t.tmpdir()
    task "build" { run = "echo kept >file", cwd = source, output = "file" }
    task "clean" { needs = "build", run = { "rm", "-rf", source } }
    task "use" { needs = "clean", input = "file", run = "cat file" }
    local _, tasks = flow.run(made, dir)
    t.eq(tasks.use.output, "kept\n")
  end)

  t.it("replace what lies there and delete nothing", function()
    local made, task, dir = flow.new()
    local there = t.tmpdir()
    t.write(there .. "/file", "old")
    t.write(there .. "/mine", "mine")
    task "build" { run = "printf new >file", output = "file" }
    task "use" { needs = "build", cwd = there, input = "file", run = "cat file mine" }
    local _, tasks = flow.run(made, dir)
    t.eq(tasks.use.output, "newmine")
  end)

  t.it("of a function are collected from the task's folder", function()
    local made, task, dir = flow.new()
    task "build" { run = function(ctx) ctx.env:run "echo f >made" end, output = "made" }
    local outcome, tasks = flow.run(made, dir)
    t.eq(outcome.status, "completed")
    t.eq(tasks.build.artifacts[1].path, "made")
  end)
end)

t.done()
