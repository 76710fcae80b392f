-- require: where modules are found, waiting while one loads, what it says when there is none.
local t = require "spec"
local tutti = require "tutti"

local function project(files)
  local dir = t.tmpdir()
  tutti.here:mkdir(dir .. "/lib")
  for name, source in pairs(files) do
    local folder = name:match "^(.*)/"
    if folder then tutti.here:mkdir(dir .. "/" .. folder) end
    t.write(dir .. "/" .. name, source)
  end
  return dir
end

local function run(dir, name, env)
  return t.tutti { "run", dir .. "/" .. (name or "main.lua"), cwd = "/", env = env }
end

t.describe("require", function()
  t.it("finds modules beside the script, whatever the current directory", function()
    local dir = project {
      ["main.lua"] = "print(require 'a', require 'b.c', (require 'd'))",
      ["a.lua"] = "return 'A'", ["b/c.lua"] = "return 'C'", ["d/init.lua"] = "return 'D'",
    }
    t.eq(run(dir).stdout, "A\tC\t" .. "D\n")
  end)
  t.it("gives the second value, the file", function()
    local dir = project { ["main.lua"] = "print(select(2, require 'a'))", ["a.lua"] = "return ..." }
    t.eq(run(dir).stdout, dir .. "/a.lua\n")
  end)
  t.it("then along package.path from LUA_PATH", function()
    local dir = project { ["main.lua"] = "print((require 'far'))", ["lib/far.lua"] = "return 'far'" }
    t.eq(run(dir, nil, { LUA_PATH = dir .. "/lib/?.lua;;" }).stdout, "far\n")
  end)
  t.it("waits in a module's main chunk, and loads it once", function()
    local dir = project {
      ["main.lua"] = "local t = require 'tutti' print(require 'm' == require 'm', require('m').n)",
      ["m.lua"] = "require 'tutti'.sleep '5ms' return { n = require 'tutti'.here:run 'echo 1'.stdout }",
    }
    t.eq(run(dir).stdout, "true\t1\n\n")
  end)
  t.it("loads it once for tasks that ask at the same time", function()
    local dir = project {
      ["main.lua"] = [[
        local tutti = require 'tutti'
        loads = 0
        local r = tutti.map({ 1, 2, 3 }, function() return require 'm' end)
        print(loads, r[1] == r[2] and r[2] == r[3])]],
      ["m.lua"] = "loads = loads + 1 require 'tutti'.sleep '5ms' return {}",
    }
    t.eq(run(dir).stdout, "1\ttrue\n")
  end)
  t.it("a module that fails may be asked for again", function()
    local dir = project {
      ["main.lua"] = "print(pcall(require, 'm')) print(pcall(require, 'm'))",
      ["m.lua"] = "first = not first if first then error 'no' end return 'yes'",
    }
    t.match(run(dir).stdout, "^false\t[^\n]*m%.lua:1: no\ntrue\tyes\t")
  end)
  t.it("a module that requires itself is refused", function()
    local dir = project {
      ["main.lua"] = "require 'a'", ["a.lua"] = "require 'b'", ["b.lua"] = "require 'a'",
    }
    local r = run(dir)
    t.eq(r.code, 2)
    t.match(r.stderr, "module 'a' is being loaded already: it requires itself")
  end)
  t.it("names every place when there is none", function()
    local dir = project { ["main.lua"] = "require 'no.such'" }
    local r = run(dir)
    t.eq(r.code, 2)
    t.match(r.stderr, "main%.lua:1: module 'no%.such' not found:")
    t.has(r.stderr, dir .. "/no/such.lua")
    t.has(r.stderr, dir .. "/no/such/init.lua")
  end)
  t.it("shows a syntax error with its file and line", function()
    local dir = project { ["main.lua"] = "require 'bad'", ["bad.lua"] = "x =\n= 1" }
    t.match(run(dir).stderr, "bad%.lua:2: ")
  end)
  t.it("a file beside the script cannot stand in for tutti's own", function()
    local dir = project {
      ["main.lua"] = "print(type(require 'tutti'.sleep))", ["tutti.lua"] = "return {}",
    }
    t.eq(run(dir).stdout, "function\n")
  end)
  t.it("honours package.loaded, preload and searchers", function()
    local dir = project { ["main.lua"] = [[
      package.loaded.one = 1
      package.preload.two = function(name, extra) return name .. extra end
      table.insert(package.searchers, function(name)
        return name == "three" and function(n, e) return n .. e end or "\n\tno three", "!"
      end)
      print(require "one", (require "two"), (require "three"))
    ]] }
    t.eq(run(dir).stdout, "1\ttwo:preload:\tthree!\n")
  end)
end)

t.done()
