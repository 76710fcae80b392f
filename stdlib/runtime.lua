-- Run once when the state is made, before anything else: replaces those of Lua's own functions that
-- would block the loop or could not be awaited through. `find` gives the loader of a module of
-- tutti's own.

local find = ...
local package, loadfile = package, loadfile
local preload_searcher, lua_searcher = package.searchers[1], package.searchers[2]

-- Beside the script, then along package.path.
local function search_path(name, messages)
  local dir = require("tutti.host").script_dir()
  local paths = { package.path }
  if dir then
    table.insert(paths, 1, dir .. "/?.lua;" .. dir .. "/?/init.lua")
  end
  for _, path in ipairs(paths) do
    local file, missing = package.searchpath(name, path)
    if file then
      local chunk, mistake = loadfile(file)
      if not chunk then
        error(("error loading module '%s' from file '%s':\n\t%s"):format(name, file, mistake), 0)
      end
      return chunk, file
    end
    messages[#messages + 1] = "\n\t" .. missing:gsub("^\n\t", "")
  end
end

local function search(name)
  local messages = {}
  for _, searcher in ipairs(package.searchers) do
    local loader, extra
    if searcher == lua_searcher then
      loader, extra = search_path(name, messages)
    else
      loader, extra = searcher(name)
    end
    if type(loader) == "function" then
      return loader, extra
    elseif type(loader) == "string" and searcher ~= preload_searcher then
      messages[#messages + 1] = "\n\t" .. loader:gsub("^\n\t", "")
    end
  end
  error(("module '%s' not found:%s"):format(name, table.concat(messages)), 3)
end

local loading = {} -- by name: the gate that opens when it is loaded, and the fiber that loads it

local function load_module(name)
  local host = require "tutti.host"
  local gate <close> = host.gate()
  local mine <close> = setmetatable({ gate = gate, fiber = host.fiber() }, { -- luacheck: ignore
    __close = function() loading[name] = nil end,
  })
  loading[name] = mine
  local loaded = package.loaded
  local loader, extra = search(name)
  local value = loader(name, extra)
  if value ~= nil then
    loaded[name] = value
  elseif loaded[name] == nil then
    loaded[name] = true
  end
  return loaded[name], extra
end

-- tutti's own are loaded without waiting.
local function load_own(name, loader)
  local value = loader(name, ":tutti:")
  package.loaded[name] = value == nil or value
  return value, ":tutti:"
end

-- Lua's require is C and cannot be awaited through; this one can. A module is loaded once, also when
-- several fibers ask for it while its main chunk waits.
function require(name) -- luacheck: ignore
  local value = package.loaded[name]
  if value then
    return value
  end
  local own = type(name) == "string" and find(name)
  if own then
    return load_own(name, own)
  end
  local other = loading[name]
  if not other then
    return load_module(name)
  elseif other.fiber == require("tutti.host").fiber() then
    error(("module '%s' is being loaded already: it requires itself"):format(name), 2)
  end
  other.gate:wait()
  return require(name)
end

os.exit = function(...) -- luacheck: ignore
  return require("tutti.host").exit(...)
end

-- What waits for something outside is in tutti.stdio, which is loaded when one of these is first
-- used and keeps the originals that it needs.
local stdin = {}
package.loaded["tutti.native"] = {
  open = io.open, lines = io.lines, type = io.type, close = io.close, stdin = stdin,
}

local function from_stdio(library, ...)
  for _, name in ipairs { ... } do
    library[name] = function(...)
      return require("tutti.stdio")[name](...)
    end
  end
end
from_stdio(os, "execute")
from_stdio(io, "popen", "read", "lines", "input", "type", "close")

io.stdin = setmetatable(stdin, { -- luacheck: ignore
  __name = "FILE*",
  __index = function(_, name)
    return require("tutti.stdio").stdin[name] -- loading gave it its methods
  end,
})
