-- tutti run FILE: runs a script, and the workflow that it returns.

local check = require "tutti.cli.check"
local host = require "tutti.host"
local load_script = require "tutti.cli.load"
local options = require "tutti.cli.options"
local text = require "tutti.text"

local run = {}

run.options = {
  param = { short = "p", value = "name=value", many = true, about = "a parameter of the workflow" },
  jobs = { short = "j", value = "N", kind = "count", about = "tasks at once (max(8, 2 × CPUs))" },
  only = { value = "A,B", kind = "list", about = "only these tasks and all that they need" },
  ["dry-run"] = { about = "show what would run where, in order; touch nothing" },
  json = { about = "one JSON document on stdout, everything else on stderr" },
  quiet = { about = "no progress; the report of a failure still comes" },
  ["no-rollback"] = { about = "leave what was done when a task fails" },
  state = { value = "DIR", about = "where logs and artifacts go ($TUTTI_STATE, else .tutti)" },
}

-- What would run, in the order in which -j1 would start it.
local function dry_run(flow, opts, settings)
  local engine = require "tutti.engine"
  local graph = require "tutti.cli.graph"
  local info = engine.info(flow)
  local order = engine.order(flow, settings)
  if opts.json then
    local json, names = require("tutti").json, graph.names(flow, info)
    local tasks = json.array {}
    for k, index in ipairs(order) do
      tasks[k] = graph.task_document(engine.task(flow, index), names)
    end
    host.document(json.encode { workflow = info.name, status = "dry-run", tasks = tasks } .. "\n")
    return 0
  end
  local lines = { ("%s: %s would run\n"):format(info.name, text.count(#order, "task")) }
  for k, index in ipairs(order) do
    local task = engine.task(flow, index)
    lines[#lines + 1] = ("%3d. %s  on %s%s%s: %s\n"):format(k, task.id, task.environment,
      task.cwd and " in " .. task.cwd or "", task.when and ", if its condition holds" or "",
      task.run and text.cut(text.printable((task.run:gsub("%s*\n%s*", "; "))), 160) or "nothing")
    if #lines >= 1000 then
      io.stdout:write(table.concat(lines))
      lines = {}
    end
  end
  io.stdout:write(table.concat(lines))
  return 0
end

-- Who watches: nothing, a terminal's live lines, or plain prefixed lines.
local function watcher(opts)
  if opts.quiet then
    return nil
  end
  return require(host.isatty(2) and "tutti.cli.live" or "tutti.cli.plain").new(io.stderr)
end

local function run_flow(flow, opts, settings)
  local engine = require "tutti.engine"
  local view <close> = watcher(opts)
  settings.jobs = opts.jobs
  settings.state = opts.state or os.getenv "TUTTI_STATE"
  settings.rollback = not opts["no-rollback"]
  settings.output = view ~= nil
  local document = host.program(engine.run, flow, settings, view and function(events, n)
    view:events(events, n)
  end)
  if view then
    view:finish()
  end
  if opts.json then
    host.document(document:json() .. "\n")
  end
  if not (opts.quiet and document.status == "completed") then
    require("tutti.cli.report").write(io.stderr, document)
  end
  return document.status == "completed" and 0 or 1
end

function run.run(argv)
  local opts, words = options.parse("run", run.options, argv)
  local file = load_script.only_file("run", words)
  if opts.json then
    host.claim_stdout()
  end
  local params = check.params("run", opts.param)
  local flow = load_script.file(file, words.rest, opts["dry-run"] and "--dry-run")
  if flow == nil and opts["dry-run"] or flow ~= nil then
    local engine = require "tutti.engine"
    if engine.is_flow(flow) then
      local settings = { params = params or {}, only = opts.only }
      engine.check(flow, settings)
      return (opts["dry-run"] and dry_run or run_flow)(flow, opts, settings)
    elseif opts["dry-run"] then
      error(text.invalid("%s returns no workflow: a dry run has nothing to show", file), 0)
    end
  end
  local engine = package.loaded["tutti.engine"]
  local forgotten = engine and engine.forgotten()
  if forgotten then
    error(text.invalid("%s declares the workflow %q and does not return it: end it with `return flow`",
      file, forgotten), 0)
  end
  for _, name in ipairs { "param", "only", "jobs", "no-rollback" } do
    if opts[name] then
      error(text.invalid("%s returns no workflow: --%s has nothing to apply to", file, name), 0)
    end
  end
  return 0
end

return run
