-- The annotations of stdlib/meta say what there is: every function that they declare exists, everything that
-- exists is declared, every class that they name is declared, and the options that C knows are the options
-- that they list.
local t = require "spec"
local tutti = require "tutti"
local here = tutti.here
local top = os.getenv "TUTTI_TOP"

local classes = {}      -- name -> { fields = { name -> true }, methods = { name -> true }, parent = name }
local module = {}       -- the names of functions and fields declared as tutti.NAME
local mentioned = {}    -- every tutti.Name in an annotation -> where

local function class(name)
  classes[name] = classes[name] or { fields = {}, methods = {} }
  return classes[name]
end

local function read_meta(path)
  local locals, current = { tutti = "tutti" }, nil
  for line in io.lines(path) do
    local name, parent = line:match "^%-%-%-@class%s+%(?exact%)?%s*([%w_.]+)%s*:?%s*([%w_.]*)"
    if not name then name, parent = line:match "^%-%-%-@class%s+([%w_.]+)%s*:?%s*([%w_.]*)" end
    local alias = line:match "^%-%-%-@alias%s+([%w_.]+)"
    local field = line:match "^%-%-%-@field%s+([%a_][%w_]*)"
    local variable = line:match "^local%s+([%w_]+)%s*="
    local owner, method = line:match "^function%s+([%w_]+)[.:]([%w_]+)%("
    local value = line:match "^tutti%.([%w_]+)%s*="
    if name then
      current = name
      if parent ~= "" then class(name).parent = parent else class(name) end
    elseif alias then
      class(alias)
    elseif field and current then
      class(current).fields[field] = true
    elseif variable then
      locals[variable] = current or variable
    elseif owner == "tutti" then
      module[method] = path
    elseif owner then
      class(locals[owner] or owner).methods[method] = true
    elseif value then
      module[value] = path
    end
    if line == "" then current = nil end
    if line:find "^%-%-%-@" then
      for word in line:gsub('"[^"]*"', ""):gmatch "tutti%.%u[%w_]*" do mentioned[word] = path end
    end
  end
end

for _, path in ipairs(here:glob(top .. "/stdlib/meta/*.lua")) do read_meta(path) end
for name in pairs((classes.tutti or { fields = {} }).fields) do module[name] = module[name] or "class tutti" end

-- The names that `tutti` has: those that are there, and those that are loaded when first used.
local function names_of_module()
  local names = {}
  for name in pairs(tutti) do names[name] = true end
  local index = getmetatable(tutti).__index
  for i = 1, 255 do
    local name, lazy = debug.getupvalue(index, i)
    if not name then break end
    if name == "lazy" then
      for key in pairs(lazy) do names[key] = true end
    end
  end
  return names
end

local function outcome()
  local flow = tutti.workflow "outcome"
  flow.task "a" { run = "true" }
  return require("tutti.engine").run(flow, { state = t.tmpdir() })
end

-- One object of every class that has methods.
local function live_objects()
  local process = here:spawn { "true", stdin = false }
  process:wait()
  local _, err = pcall(tutti.sleep, "no duration")
  return {
    ["tutti.Environment"] = here,
    ["tutti.Result"] = here:try "true",
    ["tutti.Process"] = process,
    ["tutti.Workflow"] = tutti.workflow "meta",
    ["tutti.Error"] = err,
    ["tutti.Task"] = tutti.spawn(function() end),
    ["tutti.Json"] = tutti.json,
    ["tutti.Docker"] = tutti.docker,
    ["tutti.K8s"] = tutti.k8s,
    ["tutti.engine.Outcome"] = outcome(),
    engine = require "tutti.engine",
  }
end

local function sorted(set)
  local names = {}
  for name in pairs(set) do names[#names + 1] = name end
  table.sort(names)
  return names
end

t.describe("stdlib/meta", function()
  t.it("declares everything that tutti has", function()
    for _, name in ipairs(sorted(names_of_module())) do
      if not name:find "^_" then t.ok(module[name], "tutti." .. name .. " is declared nowhere") end
    end
  end)

  t.it("declares nothing that tutti lacks", function()
    t.ok(next(module))
    for _, name in ipairs(sorted(module)) do
      t.ne(tutti[name], nil, "tutti." .. name .. " is declared in " .. module[name])
    end
  end)

  t.it("declares the methods that objects have", function()
    local objects = live_objects()
    for _, name in ipairs(sorted(classes)) do
      local methods = classes[name].methods
      if next(methods) then
        local object = objects[name]
        t.ok(object, "this test has no object of class " .. name)
        for _, method in ipairs(sorted(methods)) do
          local found, value = pcall(function() return object[method] end)
          t.ok(found and value ~= nil, name .. " has no " .. method)
        end
        local meta = debug.getmetatable(object)
        if meta and type(meta.__index) == "table" then
          for _, method in ipairs(sorted(meta.__index)) do
            if type(method) == "string" and not method:find "^__" then
              t.ok(methods[method] or classes[name].fields[method], name .. " has an undeclared " .. method)
            end
          end
        end
      end
    end
  end)

  t.it("declares every class that it names", function()
    for _, name in ipairs(sorted(mentioned)) do
      t.ok(classes[name], name .. " is named in " .. mentioned[name])
    end
  end)

  t.it("lists the options that C knows", function()
    local lists = {}
    for _, path in ipairs(here:glob(top .. "/lua/**/*.c")) do
      local source = t.slurp(path):gsub("/%*.-%*/", "")
      for names in source:gmatch "lt_options_open%(L,%s*&?[%w_]+,%s*[^;]-,%s*([%w_]+),%s*[%w_]+%);" do
        local items = source:match("static const char %*const " .. names .. "%[%]%s*=%s*(%b{})")
        if items then lists[path:match "[^/]+$" .. ": " .. names] = items end
      end
    end
    t.ok(next(lists), "no option list was found in lua/")
    for where, items in pairs(lists) do
      local wanted, best, difference = {}, nil, math.huge
      for name in items:gmatch '"([^"]+)"' do wanted[name] = true end
      if items:find "LT_ENV_DEFAULT_NAMES" then
        for name in t.slurp(top .. "/lua/env/env.h"):match "LT_ENV_DEFAULT_NAMES[^\n]*\n([^\n]*)":gmatch '"([^"]+)"' do
          wanted[name] = true
        end
      end
      for name, class_ in pairs(classes) do
        local has, apart = {}, {}
        local parent = class_
        while parent do
          for field in pairs(parent.fields) do has[field] = true end
          parent = classes[parent.parent]
        end
        for field in pairs(has) do if not wanted[field] then apart[#apart + 1] = "+" .. field end end
        for field in pairs(wanted) do if not has[field] then apart[#apart + 1] = "-" .. field end end
        if #apart < difference then
          table.sort(apart)
          best, difference = name .. " differs by " .. table.concat(apart, " "), #apart
        end
      end
      t.eq(difference, 0, where .. " matches no class; " .. tostring(best))
    end
  end)
end)
t.done()
