-- Matrix tasks and parameters.
local t = require "spec"
local tutti = require "tutti"
local engine = require "tutti.engine"
local flow = require "_flow"

t.describe("a matrix", function()
  t.it("makes an instance of each combination, in a fixed order", function()
    local made, task, dir = flow.new()
    task "test" { matrix = { v = { 1, 2 }, os = { "linux", "mac" } },
      run = "echo $MATRIX_os $MATRIX_v" }
    local outcome, tasks = flow.run(made, dir)
    local names = {}
    for i, one in ipairs(outcome.tasks) do
      names[i] = one.id
    end
    t.eq(names, { "test[os=linux,v=1]", "test[os=linux,v=2]", "test[os=mac,v=1]",
      "test[os=mac,v=2]" })
    t.eq(tasks["test[os=mac,v=2]"].output, "mac 2\n")
  end)

  t.it("is needed as a whole by its name", function()
    local made, task, dir = flow.new()
    task "test" { matrix = { v = { "a", "b" } }, run = "sleep 0.1; echo $MATRIX_v >>order" }
    task "one" { needs = "test[v=a]", run = "true" }
    task "all" { needs = "test", run = "wc -l <order" }
    local _, tasks = flow.run(made, dir)
    t.eq(tonumber(tasks.all.output), 2)
    t.eq(tasks.one.status, "completed")
  end)

  t.it("gives its values to functions with their types", function()
    local made, task, dir = flow.new()
    task "test" { matrix = { n = { 3 }, on = { true } },
      run = function(ctx) return { ctx.matrix.n + 1, ctx.matrix.on } end }
    local _, tasks = flow.run(made, dir)
    t.eq(tasks["test[n=3,on=true]"].output, { 4, true })
  end)

  t.it("is selected by name with only", function()
    local made, task, dir = flow.new()
    task "test" { matrix = { v = { 1, 2 } }, run = "true" }
    task "other" { run = "false" }
    local outcome = flow.run(made, dir, { only = { "test" } })
    t.eq(#outcome.tasks, 2)
  end)

  t.it("that is empty is an error", function()
    for _, matrix in ipairs { {}, { v = {} } } do
      local made = tutti.workflow "m"
      local e = t.raises("invalid", function()
        made.task "test" { matrix = matrix, run = "true" }
      end)
      t.match(e.message, "workflow_matrix.lua:%d+: task \"test\".*no task")
    end
  end)

  t.it("with a value that would spoil the name is an error", function()
    local made = tutti.workflow "m"
    t.raises("invalid", function() made.task "x" { matrix = { v = { "a,b" } }, run = "true" } end)
    t.raises("invalid", function() made.task "x" { matrix = { v = { {} } }, run = "true" } end)
    t.raises("invalid", function() made.task "x" { matrix = { ["a b"] = { 1 } }, run = "true" } end)
    t.raises("invalid", function() made.task "x" { matrix = { v = { 1, 1 } }, run = "true" } end)
  end)
end)

t.describe("parameters", function()
  local function with_params()
    local made, task, dir = flow.new()
    made:params {
      version = { type = "string", required = true, description = "what to deploy" },
      count = { type = "integer", default = 3 },
      ratio = { type = "number" },
      force = { type = "boolean", default = false },
      where = { choices = { "here", "there" }, default = "here" },
    }
    task "show" { run = 'echo "$PARAM_version $PARAM_count ${PARAM_ratio-none} $PARAM_force $PARAM_where"' }
    task "see" { run = function(ctx) return ctx.params end }
    return made, dir
  end

  t.it("have types and defaults, for commands and functions", function()
    local made, dir = with_params()
    local _, tasks = flow.run(made, dir, { params = { version = "007", force = "true" } })
    t.eq(tasks.show.output, "007 3 none true here\n")
    t.eq(tasks.see.output, { version = "007", count = 3, force = true, where = "here" })
  end)

  t.it("arrive byte-exact", function()
    local made, dir = with_params()
    local hostile = "$(id); 'x' \"y\" \\ é\n-"
    local _, tasks = flow.run(made, dir, { params = { version = hostile } })
    t.eq(tasks.show.output, hostile .. " 3 none false here\n")
  end)

  t.it("are listed", function()
    local made = with_params()
    local info = engine.info(made)
    t.eq(info.params[4], { name = "version", type = "string", required = true,
      description = "what to deploy" })
    t.eq(#info.params, 5)
  end)

  t.it("that are wrong are refused before anything runs", function()
    local made, dir = with_params()
    for _, case in ipairs {
      { { version = "1", cuont = "2" }, 'no parameter "cuont"; did you mean "count"?' },
      { { version = "1", count = "x" }, 'parameter count is an integer, not "x"' },
      { { version = "1", ratio = "" }, "parameter ratio is a number" },
      { { version = "1", force = "1" }, "true or false" },
      { { version = "1", where = "nowhere" }, 'one of here, there, not "nowhere"' },
      { {}, "parameter version is missing: give it with -p version=VALUE" },
    } do
      local e = t.raises("invalid", function() flow.run(made, dir, { params = case[1] }) end)
      t.has(e.message, case[2])
    end
    t.ok(engine.check(made))
  end)

  t.it("that are declared wrongly are refused", function()
    for _, case in ipairs {
      { { a = { type = "strng" } }, "string" },
      { { a = { type = "integer", default = 1.5 } }, "of type integer" },
      { { a = { required = true, default = "x" } }, "one of both" },
      { { a = { choices = { 1 } } }, "choice 1" },
      { { a = { choices = { "x" }, default = "y" } }, "not among" },
      { { ["a b"] = {} }, "letters" },
      { { a = "string" }, "expected a table" },
      { { a = { typ = "string" } }, "type" },
    } do
      local made = tutti.workflow "p"
      local e = t.raises("invalid", function() made:params(case[1]) end)
      t.has(e.message, case[2])
      t.match(e.message, "workflow_matrix.lua:%d+")
    end
  end)
end)

t.done()
