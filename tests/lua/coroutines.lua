-- The user's own coroutines around awaits; where Lua cannot wait.
local t = require "spec"
local tutti = require "tutti"

local function nap() tutti.sleep "1ms" end

t.describe("a user's coroutine", function()
  t.it("may wait in wrap: yields go to the user, waiting does not", function()
    local next = coroutine.wrap(function(a)
      nap()
      local b = coroutine.yield(a + 1)
      nap()
      local c = coroutine.yield(b + 1)
      nap()
      return c + 1
    end)
    t.eq({ next(1), next(10), next(100) }, { 2, 11, 101 })
    t.raises("dead", next)
  end)
  t.it("may wait in resume, nested four deep", function()
    local function nest(depth)
      local co = coroutine.create(function()
        nap()
        if depth > 0 then
          for _, v in ipairs(nest(depth - 1)) do coroutine.yield(v) end
        end
        nap()
        coroutine.yield(depth)
      end)
      local values = {}
      while true do
        local ok, v = coroutine.resume(co)
        t.ok(ok, v)
        if coroutine.status(co) == "dead" then break end
        values[#values + 1] = v
      end
      return values
    end
    t.eq(nest(4), { 0, 1, 2, 3, 4 })
  end)
  t.it("is an iterator of a for loop", function()
    local seen = {}
    for a, b in coroutine.wrap(function() for i = 1, 3 do nap() coroutine.yield(i, i * i) end end) do
      nap()
      seen[a] = b
    end
    t.eq(seen, { 1, 4, 9 })
  end)
  t.it("behaves as the manual says", function()
    local co
    co = coroutine.create(function(...)
      t.eq({ ... }, { 1, 2 })
      t.eq(coroutine.status(co), "running")
      local inner = coroutine.wrap(function() t.eq(coroutine.status(co), "normal") end)
      inner()
      local thread, main = coroutine.running()
      t.ok(thread == co and not main)
      t.ok(coroutine.isyieldable())
      t.eq({ coroutine.yield(3) }, { 4, 5 })
      return 6, nil
    end)
    t.eq(coroutine.status(co), "suspended")
    t.eq(table.pack(coroutine.resume(co, 1, 2)), { true, 3, n = 2 })
    t.eq(table.pack(coroutine.resume(co, 4, 5)), { true, 6, nil, n = 3 })
    t.eq(coroutine.status(co), "dead")
    t.eq({ coroutine.resume(co) }, { false, "cannot resume dead coroutine" })
    t.eq({ coroutine.resume(coroutine.running()) }, { false, "cannot resume non-suspended coroutine" })
    t.eq({ coroutine.resume(coroutine.create(function() error({ 1 }) end)) }, { false, { 1 } })
    t.raises("coroutine", coroutine.resume, 1)
    t.raises(nil, coroutine.create, 1)
    t.no(coroutine.isyieldable())
    t.eq(select(2, coroutine.running()), true)
    t.raises("outside a coroutine", coroutine.yield)
  end)
  t.it("wrap adds its caller's place to text errors and passes others", function()
    local _, e = pcall(coroutine.wrap(function() error "x" end))
    t.match(e, "coroutines%.lua:%d+: x$")
    _, e = pcall(coroutine.wrap(function() error({ 1 }) end))
    t.eq(e, { 1 })
  end)
  t.it("closes its variables when it fails, and they may wait", function()
    local closed
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function(_, e) nap() closed = e end })
      nap()
      error({ "why" })
    end)
    t.eq({ coroutine.resume(co) }, { false, { "why" } })
    t.eq(closed, { "why" })
  end)
  t.it("close ends a suspended one", function()
    local closed = false
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      coroutine.yield()
    end)
    coroutine.resume(co)
    t.eq({ coroutine.close(co) }, { true })
    t.ok(closed)
    t.eq(coroutine.status(co), "dead")
    t.eq({ coroutine.close(coroutine.create(print)) }, { true })
    t.raises("running", coroutine.close, coroutine.running())
  end)
  t.it("close runs every __close, innermost first, and each may wait", function()
    local log = {}
    local function closing(name, fails)
      return setmetatable({ name }, { __close = function(self, e)
        nap()
        log[#log + 1] = { name, self[1], e }
        tutti.here:run "true"
        if fails then error(fails, 0) end
      end })
    end
    local function suspended(first, second)
      log = {}
      local co = coroutine.create(function(...)
        local _ <close> = closing "a"
        local _ <close> = closing("b", first)
        pcall(function()
          for _ in function() return 1 end, nil, nil, closing("c", second) do
            xpcall(coroutine.yield, function(m) return "never" .. m end)
          end
        end, ...)
        error "never"
      end)
      coroutine.resume(co, 1, 2)
      return co
    end
    local co = suspended()
    t.eq({ coroutine.close(co) }, { true })
    t.eq(log, { { "c", "c" }, { "b", "b" }, { "a", "a" } })
    t.eq({ coroutine.status(co), coroutine.close(co) }, { "dead", true })
    co = suspended("first", "second")
    t.eq({ coroutine.close(co) }, { false, "first" })
    t.eq(log, { { "c", "c" }, { "b", "b", "second" }, { "a", "a", "first" } })
    t.eq({ coroutine.close(co) }, { true })
    co = suspended(nil, "second")
    t.eq({ pcall(coroutine.close, co) }, { true, false, "second" })
  end)
  t.it("close knows each way to write a __close", function()
    local log = {}
    local callable = setmetatable({}, {
      __call = function(self, value, e) nap() log[#log + 1] = { self, value.n, e } end,
    })
    local ways = {
      function(value, e) nap() log[#log + 1] = { value.n, e } end,
      function(...) nap() local value, e = ... log[#log + 1] = { value.n, e } end,
      function(value, ...) nap() log[#log + 1] = { value.n, ... } end,
      function() nap() log[#log + 1] = "nothing" end,
      callable,
      function() error(nil) end,
      rawlen, -- C
    }
    for n, way in ipairs(ways) do
      local co = coroutine.wrap(function()
        local co = coroutine.create(function()
          local _ <close> = setmetatable({ n = n }, { __close = way })
          coroutine.yield()
        end)
        coroutine.resume(co)
        return table.pack(coroutine.close(co))
      end)
      t.eq(co(), n == 6 and { n = 2, false } or { n = 1, true })
    end
    t.eq(log, { { 1 }, { 2 }, { 3 }, "nothing", { callable, 5 } })
  end)
  t.it("close tells the error that ended it, once", function()
    local co = coroutine.create(function() error { why = 1 } end)
    coroutine.resume(co)
    t.eq(coroutine.status(co), "dead")
    t.eq({ coroutine.close(co) }, { false, { why = 1 } })
    t.eq({ coroutine.close(co) }, { true })
    t.eq({ coroutine.resume(co) }, { false, "cannot resume dead coroutine" })
  end)
  t.it("close is cleanup: it works in a task that was cancelled", function()
    local closed
    local h = tutti.spawn(function()
      local co = coroutine.create(function()
        local _ <close> = setmetatable({}, { __close = function() nap() closed = true end })
        coroutine.yield()
      end)
      coroutine.resume(co)
      pcall(tutti.sleep, "1h")
      coroutine.close(co)
    end)
    nap()
    h:cancel()
    pcall(h.join, h)
    t.eq(closed, true)
  end)
  t.it("that waits cannot be resumed or closed by another task", function()
    local co = coroutine.create(function() tutti.sleep "30ms" return "done" end)
    local h = tutti.spawn(function() return coroutine.resume(co) end)
    tutti.sleep "5ms"
    t.eq(coroutine.status(co), "normal")
    t.eq({ coroutine.resume(co) }, { false, "cannot resume non-suspended coroutine" })
    t.raises("normal", coroutine.close, co)
    t.eq({ h:join() }, { true, "done" })
  end)
  t.it("moves between tasks", function()
    local next = coroutine.wrap(function() for i = 1, 4 do nap() coroutine.yield(i) end end)
    local seen = {}
    for _ = 1, 4 do tutti.all { function() nap() seen[#seen + 1] = next() end } end
    t.eq(seen, { 1, 2, 3, 4 })
  end)
  t.it("many at once, each with its own waits", function()
    local items = {}
    for i = 1, 200 do items[i] = i end
    local sums = tutti.map(items, function(i)
      local sum = 0
      for v in coroutine.wrap(function() for k = 1, 5 do nap() coroutine.yield(k * i) end end) do sum = sum + v end
      return sum
    end)
    t.eq(sums[200], 3000)
  end)
end)

t.describe("waiting works", function()
  t.it("through pcall and xpcall", function()
    t.eq({ pcall(function() nap() return 1 end) }, { true, 1 })
    t.eq({ pcall(function() nap() error({ 2 }) end) }, { false, { 2 } })
    t.eq({ xpcall(function(a) nap() return a end, print, 3) }, { true, 3 })
    t.eq({ xpcall(function() nap() error "x" end, function(e) return #e > 0 end) }, { false, true })
  end)
  t.it("in metamethods", function()
    local m = setmetatable({}, {
      __index = function(_, k) nap() return k end,
      __newindex = function(self, k, v) nap() rawset(self, k, v) end,
      __call = function(_, a) nap() return a end,
      __concat = function() nap() return "joined" end,
      __add = function() nap() return 5 end,
      __eq = function() nap() return true end,
      __lt = function() nap() return true end,
      __len = function() nap() return 7 end,
      __unm = function() nap() return 8 end,
    })
    m.field = 1
    t.eq({ m.x, m.field, m(2), m .. "", m + 1, m == setmetatable({}, getmetatable(m)), m < m, #m, -m },
      { "x", 1, 2, "joined", 5, true, true, 7, 8 })
  end)
  t.it("in a generic for's iterator and its closing value", function()
    local closed, seen = false, 0
    for i in function(_, i) nap() return i < 3 and i + 1 or nil end, nil, 0,
      setmetatable({}, { __close = function() nap() closed = true end }) do
      seen = i
    end
    t.eq({ seen, closed }, { 3, true })
  end)
  t.it("in dofile and in a required module's main chunk", function()
    local dir = t.tmpdir()
    t.write(dir .. "/m.lua", "require 'tutti'.sleep '1ms' return ...")
    t.eq(dofile(dir .. "/m.lua"), nil)
    package.path = dir .. "/?.lua;" .. package.path
    t.eq(require "m", "m")
  end)
end)

t.describe("waiting is refused clearly", function()
  local function refused(name, f)
    local e = t.raises("invalid", f)
    t.has(e.message, "cannot wait")
    if name then t.has(e.message, name) end
  end
  t.it("in a comparator of table.sort", function()
    refused("table.sort", function() table.sort({ 3, 2, 1 }, function(a, b) nap() return a < b end) end)
  end)
  t.it("in a callback of string.gsub", function()
    refused("string.gsub", function() return (("abc"):gsub(".", function() nap() end)) end)
  end)
  t.it("in __tostring", function()
    refused("tostring", function() return tostring(setmetatable({}, { __tostring = nap })) end)
  end)
  t.it("in a coroutine inside of those", function()
    refused(nil, function()
      table.sort({ 3, 2, 1 }, function(a, b) coroutine.wrap(nap)() return a < b end)
    end)
  end)
  t.it("in a load reader", function()
    local _, e = load(function() nap() end)
    t.has(tostring(e), "cannot wait")
  end)
  t.it("in __gc, which only warns", function()
    local reached, ok, e = false, nil, nil
    setmetatable({}, { __gc = function() reached = true ok, e = pcall(nap) end })
    collectgarbage()
    collectgarbage()
    t.ok(reached)
    t.no(ok)
    t.has(tostring(e), "cannot wait")
  end)
  t.it("and everything still works after", function()
    pcall(table.sort, { 3, 2, 1 }, function() nap() end)
    nap()
    t.eq(coroutine.wrap(function() nap() coroutine.yield(1) end)(), 1)
  end)
end)

t.done()
