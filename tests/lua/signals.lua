-- Ctrl-C and its like, also for code that does not stop by itself.
local t = require "spec"
local tutti = require "tutti"

-- Starts a program that prints a line when it is ready.
local function start(source)
  local path = t.write(t.tmpdir() .. "/p.lua", source)
  local p = tutti.here:spawn { os.getenv "TUTTI", "run", path, stdin = false }
  local lines = p:lines()
  t.eq(lines(), "ready")
  return p, lines
end

local function pid(p) return tonumber(p:ref():match "^local:(%d+)") end
-- To the process alone: p:kill signals its group.
local function signal(p, name) tutti.here:run { "kill", "-" .. name, pid(p) } end

local codes = { INT = 130, TERM = 143, HUP = 129 }

t.describe("the first signal", function()
  t.it("ends a program that waits, after its cleanup", function()
    for name, code in pairs(codes) do
      local p, lines = start [[
        local tutti = require "tutti"
        local _ <close> = setmetatable({}, { __close = function() tutti.sleep "5ms" print "cleaned" end })
        io.write "ready\n" io.flush()
        tutti.sleep "1h"
      ]]
      signal(p, name)
      t.eq(lines(), "cleaned")
      t.eq(p:wait().code, code)
    end
  end)
  t.it("ends a runaway loop, also one that catches errors", function()
    for _, loop in ipairs {
      "while true do end",
      "while true do pcall(f) end",
      "while true do pcall(pcall, f) end",
      "while true do xpcall(f, function() end) end",
      "while true do coroutine.wrap(function() pcall(f) end)() end",
      "while true do pcall(coroutine.wrap(function() while true do pcall(f) end end)) end",
      "local t = setmetatable({}, { __index = f }) while true do pcall(function() return t.x end) end",
      "while true do pcall(table.sort, { 1, 2, 3 }, f) end",
    } do
      local p, lines = start([[
        local function f() while true do end end
        local _ <close> = setmetatable({}, { __close = function()
          for _ = 1, 1000 do end require "tutti".sleep "1ms" print "cleaned" end })
        io.write "ready\n" io.flush()
      ]] .. loop)
      signal(p, "INT")
      t.eq(lines(), "cleaned", loop)
      t.eq(p:wait().code, 130, loop)
    end
  end)
  t.it("ends the commands that run", function()
    local name = "7" .. math.random(100000, 999999)
    local p = start(([[
      local tutti = require "tutti"
      io.write "ready\n" io.flush()
      tutti.all { function() tutti.here:run { "sleep", "%s" } end, function() tutti.here:run "sleep %s" end }
    ]]):format(name, name))
    t.eventually(function() return t.processes("sleep", name) == 2 end, "both run")
    signal(p, "TERM")
    t.eq(p:wait().code, 143)
    t.eq(t.processes("sleep", name), 0)
  end)
  t.it("is handled though inherited as ignored", function()
    local path = t.write(t.tmpdir() .. "/p.lua", [[io.write "ready\n" io.flush() require "tutti".sleep "1h"]])
    local p = tutti.here:spawn { sh = ("trap '' INT; exec %s run %s"):format(os.getenv "TUTTI", path), stdin = false }
    t.eq(p:lines()(), "ready")
    signal(p, "INT")
    t.eq(p:wait().code, 130)
  end)
end)

t.describe("a second Ctrl-C", function()
  t.it("stops at once, even in cleanup that never ends, and leaves no process", function()
    local name = "7" .. math.random(100000, 999999)
    local p, lines = start(([[
      local tutti = require "tutti"
      local p = tutti.here:spawn { sh = "trap '' TERM; sleep %s; sleep %s" }
      local _ <close> = setmetatable({}, { __close = function()
        io.write "cleaning\n" io.flush() while true do end end })
      io.write "ready\n" io.flush()
      tutti.sleep "1h"
    ]]):format(name, name))
    t.eventually(function() return t.processes("sleep", name) == 1 end, "it runs")
    signal(p, "INT")
    t.eq(lines(), "cleaning")
    signal(p, "INT")
    t.eq(p:wait().code, 130) -- no cleanup ends otherwise, nor does this test
    t.eventually(function() return t.processes("sleep", name) == 0 end, "it is gone")
  end)
end)

t.describe("children", function()
  t.it("get the default disposition of SIGPIPE and the rest", function()
    local r = tutti.here:run "grep SigIgn /proc/self/status"
    t.match(r.stdout, "SigIgn:%s*0+\n")
  end)
end)

t.done()
