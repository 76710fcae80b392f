-- sleep, now, spawn, defer; when a program ends.
local t = require "spec"
local tutti = require "tutti"

-- Runs Lua source as a program of its own.
local function program(source, options)
  local path = t.write(t.tmpdir() .. "/program.lua", source)
  local command = { "run", path }
  for k, v in pairs(options or {}) do command[k] = v end
  return t.tutti(command)
end

t.describe("sleep", function()
  t.it("takes its time, in every unit", function()
    for text, seconds in pairs { ["50ms"] = 0.05, ["0.05s"] = 0.05, [0.05] = 0.05 } do
      local from = tutti.now()
      tutti.sleep(text)
      t.between(tutti.now() - from, seconds, seconds + 5)
    end
  end)
  t.it("of nothing still lets others run", function()
    local ran = false
    tutti.spawn(function() ran = true end)
    tutti.sleep(0)
    tutti.sleep(0)
    t.ok(ran)
  end)
  t.it("refuses nonsense", function()
    for _, bad in ipairs { "5 parsecs", "", "s", "1s1h", "-1s", -1, 0 / 0, "1..5s", true, {} } do
      local e = t.raises("invalid", tutti.sleep, bad)
      t.match(e.message, "duration")
    end
    t.raises("invalid", tutti.sleep)
  end)
end)

t.describe("spawn", function()
  t.it("join gives all values, also later and again", function()
    local h = tutti.spawn(function(a, b) tutti.sleep "5ms" return a, nil, b end, 1, 2)
    t.eq(table.pack(h:join()), { 1, nil, 2, n = 3 })
    t.eq(table.pack(h:join()), { 1, nil, 2, n = 3 })
  end)
  t.it("join of one that failed raises that very error", function()
    local mine = { "mine" }
    local h = tutti.spawn(function() error(mine) end)
    local ok, e = pcall(h.join, h)
    t.no(ok)
    t.ok(rawequal(e, mine))
  end)
  t.it("a text error becomes a tutti.Error of kind script, with its line", function()
    local h = tutti.spawn(function() error "boom" end)
    local e = t.raises("script", h.join, h)
    t.match(e.message, "^.*tasks%.lua:%d+: boom$")
    t.match(e.traceback, "stack traceback:\n.*tasks%.lua")
  end)
  t.it("several may join one", function()
    local h = tutti.spawn(function() tutti.sleep "10ms" return "value" end)
    local function wait() return h:join() end
    t.eq(tutti.all { wait, wait, wait }, { "value", "value", "value", n = 3 })
  end)
  t.it("cancel ends it where it waits; join then says so", function()
    local h = tutti.spawn(function() tutti.sleep "1h" end)
    tutti.sleep "5ms"
    h:cancel()
    h:cancel()
    t.raises("cancelled", h.join, h)
  end)
  t.it("one that was cancelled before it began never begins", function()
    local began = false
    local h = tutti.spawn(function() began = true end)
    h:cancel()
    t.raises("cancelled", h.join, h)
    t.no(began)
  end)
  t.it("cannot join itself", function()
    local h
    h = tutti.spawn(function() tutti.sleep(0) h:join() end)
    t.match(t.raises("invalid", h.join, h).message, "itself")
  end)
  t.it("a task ends when what it spawned has ended", function()
    local ended = false
    tutti.all { function()
      tutti.spawn(function() tutti.sleep "20ms" ended = true end)
    end }
    t.ok(ended)
  end)
  t.it("what it spawned is cancelled when it fails, and waited for", function()
    local cleaned = false
    t.raises("script", tutti.all, { function()
      tutti.spawn(function()
        local _ <close> = setmetatable({}, { __close = function()
          tutti.sleep "10ms"
          cleaned = true
        end })
        tutti.sleep "1h"
      end)
      tutti.sleep "5ms"
      error "no"
    end })
    t.ok(cleaned)
  end)
  t.it("the failure of one that nobody joined is its parent's", function()
    local e = t.raises("script", tutti.all, { function()
      tutti.spawn(function() error "lost" end)
      tutti.sleep "5ms"
    end })
    t.match(e.message, "lost")
  end)
  t.it("a cancelled one that nobody joins is no failure, one whose cleanup failed is", function()
    tutti.all { function() tutti.spawn(function() tutti.sleep "1h" end):cancel() end }
    local e = t.raises("script", tutti.all, { function()
      local h = tutti.spawn(function()
        tutti.defer(function() error "no cleanup" end)
        pcall(tutti.sleep, "1h")
      end)
      tutti.sleep "5ms"
      h:cancel()
    end })
    t.match(e.message, "no cleanup")
  end)
  t.it("refuses what is no function", function()
    t.raises("invalid", tutti.spawn)
    t.raises("invalid", tutti.spawn, "f")
  end)
end)

t.describe("defer", function()
  t.it("runs at the end of the task, newest first, and may wait", function()
    local order = {}
    tutti.all { function()
      tutti.defer(function() tutti.sleep "5ms" order[#order + 1] = 1 end)
      tutti.defer(function() tutti.sleep "1ms" order[#order + 1] = 2 end)
      order[#order + 1] = "body"
    end }
    t.eq(order, { "body", 2, 1 })
  end)
  t.it("runs at the end of a block when bound there, once", function()
    local count = 0
    tutti.all { function()
      do
        local _ <close> = tutti.defer(function() tutti.sleep "1ms" count = count + 1 end)
      end
      t.eq(count, 1)
    end }
    t.eq(count, 1)
  end)
  t.it("runs after a failure; the failure stays the error", function()
    local ran = false
    local e = t.raises("script", tutti.all, { function()
      tutti.defer(function() ran = true end)
      error "first"
    end })
    t.ok(ran)
    t.match(e.message, "first")
  end)
  t.it("its own failure is the task's when nothing failed before", function()
    local later = false
    local e = t.raises("script", tutti.all, { function()
      tutti.defer(function() later = true end)
      tutti.defer(function() error "in defer" end)
    end })
    t.match(e.message, "in defer")
    t.ok(later)
  end)
  t.it("a hundred thousand bound ones leave nothing behind", function()
    local count = 0
    tutti.all { function()
      for _ = 1, 100000 do
        local _ <close> = tutti.defer(function() count = count + 1 end)
      end
    end }
    t.eq(count, 100000)
  end)
end)

t.describe("a program", function()
  t.it("ends when all that it spawned has ended", function()
    local r = program [[
      local tutti = require "tutti"
      tutti.spawn(function() tutti.sleep "20ms" print "spawned" end)
      print "main"
    ]]
    t.eq({ r.code, r.stdout, r.stderr }, { 0, "main\nspawned\n", "" })
  end)
  t.it("fails when a spawned one that nobody joined failed", function()
    local r = program [[
      local tutti = require "tutti"
      tutti.spawn(function() error "lost" end)
      tutti.sleep "10ms"
      print "main"
    ]]
    t.eq({ r.code, r.stdout }, { 1, "main\n" })
    t.match(r.stderr, "^tutti: [^\n]*program%.lua:2: lost\n")
  end)
  t.it("shows the user's line first, then a traceback without inner frames", function()
    local r = program [[
      local tutti = require "tutti"
      local function inner() error "bad" end
      local function outer() inner() end
      tutti.timeout("5s", function() outer() end)
    ]]
    t.match(r.stderr, "^tutti: [^\n]*program%.lua:2: bad\nstack traceback:\n\t[^\n]*program%.lua:2: in ")
    t.has(r.stderr, "program.lua:3: in ")
    t.no(r.stderr:find("[C]", 1, true), r.stderr)
    t.no(r.stderr:find("tutti/", 1, true), r.stderr)
  end)
  t.it("shows user tables as text", function()
    local r = program [[ error(setmetatable({}, { __tostring = function() return "shown" end })) ]]
    t.match(r.stderr, "^tutti: shown\n")
    r = program [[ error(setmetatable({}, { __tostring = function() error "no" end })) ]]
    t.ok(not r.ok)
    r = program [[ error() ]]
    t.match(r.stderr, "^tutti: nil")
  end)
  t.it("os.exit cancels what runs, lets it clean up, and keeps the code", function()
    local r = program [[
      local tutti = require "tutti"
      tutti.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() tutti.sleep "5ms" print "cleaned" end })
        tutti.sleep "1h"
      end)
      tutti.sleep "5ms"
      while true do pcall(os.exit, 7) end
    ]]
    t.eq({ r.code, r.stdout, r.stderr }, { 7, "cleaned\n", "" })
    t.eq(program("os.exit(true)").code, 0)
    t.eq(program("os.exit(false)").code, 1)
    t.eq(program("os.exit()").code, 0)
    t.eq(program("local t = require 'tutti' t.all { function() os.exit(3) end }").code, 3)
    t.eq(program("local co = coroutine.wrap(function() os.exit(4) end) pcall(co) print 'no'").code, 4)
    t.eq(program("table.sort({ 1, 2, 3 }, function() os.exit(5) end)").code, 5)
  end)
  t.it("says so when tasks wait for each other", function()
    local r = program [[
      local tutti = require "tutti"
      local a, b
      a = tutti.spawn(function() tutti.sleep(0) b:join() end)
      b = tutti.spawn(function() tutti.sleep(0) a:join() end)
    ]]
    t.eq(r.code, 1)
    t.has(r.stderr, "wait for each other")
  end)
  t.it("ends commands that nobody waited for", function()
    local name = "7" .. math.random(100000, 999999)
    local r = program(([[
      local p = require "tutti".here:spawn { "sleep", "%s" }
      print(p)
    ]]):format(name))
    t.ok(r.ok, r.stderr)
    t.eq(t.processes("sleep", name), 0)
  end)
  t.it("sees its arguments in arg and ...", function()
    local path = t.write(t.tmpdir() .. "/p.lua", "print(arg[0], #arg, arg[1], arg[2], ...)")
    local r = t.tutti { "run", path, "--", "a b", "" }
    t.eq(r.stdout, path .. "\t2\ta b\t\ta b\t\n")
  end)
end)

t.done()
