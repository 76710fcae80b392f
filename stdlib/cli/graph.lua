-- tutti graph FILE: the workflow's graph as a tree, for Graphviz (--dot) or as JSON (--json).

local engine = require "tutti.engine"
local load_script = require "tutti.cli.load"
local options = require "tutti.cli.options"
local text = require "tutti.text"

local graph = {}

graph.options = {
  dot = { about = "Graphviz text" },
  json = { about = "a JSON document" },
}

-- Each task stands below the need that is farthest from the start; other needs are named beside it.
local function tree(flow, info, write)
  local levels = engine.levels(flow, {})
  local tasks, below, roots = {}, {}, {}
  for i = 1, info.count do
    local task = engine.task(flow, i)
    tasks[i], below[i] = task, below[i] or {}
    local parent
    for _, list in ipairs { task.needs, task.after } do
      for _, need in ipairs(list) do
        if not parent or levels[need] > levels[parent] then
          parent = need
        end
      end
    end
    task.parent = parent
    if parent then
      below[parent] = below[parent] or {}
      table.insert(below[parent], i)
    else
      table.insert(roots, i)
    end
  end

  local function beside(task)
    local notes = {}
    for verb, list in pairs { needs = task.needs, after = task.after } do
      local names = {}
      for _, need in ipairs(list) do
        if need ~= task.parent then
          names[#names + 1] = tasks[need].id
        elseif verb == "after" then
          notes[#notes + 1] = "after, not only if it succeeds"
        end
      end
      if #names > 0 then
        notes[#notes + 1] = ("also %s %s"):format(verb, table.concat(names, ", "))
      end
    end
    if task.environment ~= "local:" then
      table.insert(notes, 1, "on " .. task.environment)
    end
    table.sort(notes)
    return #notes > 0 and "  (" .. table.concat(notes, "; ") .. ")" or ""
  end

  -- With a stack of our own: a chain of 100,000 tasks is deeper than C lets Lua call.
  local stack = {}
  local function push(list, prefix)
    for k = #list, 1, -1 do
      stack[#stack + 1] = { list[k], prefix, k == #list }
    end
  end
  push(roots, "")
  while #stack > 0 do
    local index, prefix, last = table.unpack(table.remove(stack))
    write(prefix, last and "└─ " or "├─ ", tasks[index].id, beside(tasks[index]), "\n")
    push(below[index], prefix .. (last and "   " or "│  "))
  end
end

local function quoted(name)
  return '"' .. name:gsub('[\\"]', "\\%0") .. '"'
end

local function dot(flow, info, write)
  write("digraph ", quoted(info.name), " {\n  rankdir=LR;\n  node [shape=box];\n")
  local names = {}
  for i = 1, info.count do
    names[i] = quoted(engine.task(flow, i).id)
    write("  ", names[i], ";\n")
  end
  for i = 1, info.count do
    local task = engine.task(flow, i)
    for _, need in ipairs(task.needs) do
      write("  ", names[need], " -> ", names[i], ";\n")
    end
    for _, need in ipairs(task.after) do
      write("  ", names[need], " -> ", names[i], " [style=dashed];\n")
    end
  end
  write "}\n"
end

-- What a task is, with needs by name: the JSON of `graph` and of `run --dry-run`.
function graph.task_document(task, names)
  local array = require("tutti").json.array
  local function named(indexes)
    local list = array {}
    for k, index in ipairs(indexes) do
      list[k] = names[index]
    end
    return list
  end
  return {
    id = task.id, description = task.description, environment = task.environment, cwd = task.cwd,
    user = task.user, run = task.run, form = task.form, when = task.when or nil,
    needs = named(task.needs), after = named(task.after), rollback = task.rollback,
    health = task.health, timeout = task.timeout, deadline = task.deadline,
    retries = task.retries, matrix = task.matrix, input = array(task.input), output = array(task.output),
    file = task.file, line = task.line,
  }
end

function graph.names(flow, info)
  local names = {}
  for i = 1, info.count do
    names[i] = engine.task(flow, i).id
  end
  return names
end

local function json(flow, info, write)
  local names = graph.names(flow, info)
  local tasks = require("tutti").json.array {}
  for i = 1, info.count do
    tasks[i] = graph.task_document(engine.task(flow, i), names)
  end
  write(require("tutti").json.encode { workflow = info.name, description = info.description,
    params = require("tutti").json.array(info.params), tasks = tasks }, "\n")
end

function graph.graph(argv)
  local opts, words = options.parse("graph", graph.options, argv)
  if opts.dot and opts.json then
    error(text.invalid "tutti graph: --dot or --json, not both", 0)
  end
  local flow = load_script.flow(load_script.only_file("graph", words), words.rest, "graph")
  engine.check(flow, {})
  local info = engine.info(flow)
  local function write(...)
    io.stdout:write(...)
  end
  if opts.dot then
    dot(flow, info, write)
  elseif opts.json then
    json(flow, info, write)
  else
    write(info.name, ": ", text.count(info.count, "task"), "\n")
    tree(flow, info, write)
  end
  return 0
end

return graph
