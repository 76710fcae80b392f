--- The spec runner: what tests/**/*.lua are written with. It runs inside the tutti under test
--- (`tutti run tests/lua/x.lua`, with LUA_PATH naming this folder), prints one line a test in the
--- protocol of scripts/test, and is itself no more than pcall, comparison and printing.
---
---   local t = require "spec"
---   t.describe("sleep", function()
---     t.it("takes its time", function() … end, { timeout = 10 })
---   end)
---   t.done()                       -- the last line: a file that ends before it has failed
---
--- An `it` runs at once, in the coroutine of the main chunk, so that it may await. After each one the
--- children of this process are counted: a child left behind fails the test.
local t = {}

local filter = os.getenv "TUTTI_TEST_FILTER" or ""
local file = (os.getenv "TUTTI_TEST_FILE" or arg and arg[0] or ""):match "([^/]+)%.lua$" or "spec"
-- limits are this many times as long: the machine has other things to do
local patience = tonumber(os.getenv "TUTTI_TEST_PATIENCE" or "") or 1
local path = {}              -- the names of the describes that are open
local hooks = { {} }         -- for each of them { before = f, after = f }
local cleanups = {}          -- of the running test
local executed, matched = 0, 0
local skipped = {}           -- what t.skip throws
local excepted = {}          -- what t.except throws

if os.getenv "TUTTI_TEST_GC" then -- the collector at its most aggressive
  collectgarbage "incremental"
  collectgarbage("setpause", 0)
  collectgarbage("setstepmul", 1000)
end

local function slurp(name)
  local f = io.open(name, "rb")
  if not f then return nil end
  local text = f:read "a"
  f:close()
  return text
end

--- Readable form of any value, tables in full, one line.
local function show(value, depth)
  if type(value) == "string" then
    if #value > 400 then return ("%q… (%d bytes)"):format(value:sub(1, 400), #value) end
    return (("%q"):format(value):gsub("\n", "n"))
  end
  if type(value) ~= "table" or depth == 0 then return tostring(value) end
  local meta = getmetatable(value)
  if type(meta) == "table" and meta.__tostring then return tostring(value) end
  local parts = {}
  for k, v in pairs(value) do
    parts[#parts + 1] = ("%s = %s"):format(type(k) == "string" and k or "[" .. tostring(k) .. "]",
      show(v, (depth or 4) - 1))
  end
  table.sort(parts)
  return "{ " .. table.concat(parts, ", ") .. " }"
end
t.show = show

local function same(a, b)
  if a == b then return math.type(a) == math.type(b) end
  if type(a) ~= "table" or type(b) ~= "table" then return a ~= a and b ~= b end
  for k, v in pairs(a) do if not same(v, b[k]) then return false end end
  for k in pairs(b) do if a[k] == nil then return false end end
  return true
end

local function fail(note, ...)
  local text = select("#", ...) > 0 and note:format(...) or note
  error({ spec = text }, 3)
end

local function because(note) return note and " (" .. tostring(note) .. ")" or "" end

function t.eq(got, want, note)
  if not same(got, want) then fail("got %s, want %s%s", show(got), show(want), because(note)) end
end

function t.ne(got, other, note)
  if same(got, other) then fail("got %s, which it must not be%s", show(got), because(note)) end
end

function t.ok(value, note)
  if not value then fail("got %s, want a true value%s", show(value), because(note)) end
  return value
end

function t.no(value, note)
  if value then fail("got %s, want nil or false%s", show(value), because(note)) end
end

--- From low, to the millisecond, to high, which is for slow machines.
function t.between(got, low, high, note)
  if type(got) ~= "number" or got < low - 0.001 or got > high then
    fail("got %s, want %s to %s%s", show(got), show(low), show(high), because(note))
  end
end

function t.match(text, pattern, note)
  if not tostring(text):find(pattern) then
    fail("%s does not match %s%s", show(text), show(pattern), because(note))
  end
end

function t.has(text, plain, note)
  if not tostring(text):find(plain, 1, true) then
    fail("%s does not contain %s%s", show(text), show(plain), because(note))
  end
end

--- Calls f(...) and returns the error that it raised. `want` is the kind that a tutti.Error must have,
--- or a Lua pattern for the text of any other error; nil takes every error.
function t.raises(want, f, ...)
  local results = table.pack(pcall(f, ...))
  local err = results[2]
  if results[1] then
    fail("nothing was raised, want %s; it returned %s", show(want), show(results[2]))
  end
  if type(err) == "table" and rawget(err, "spec") then error(err, 0) end -- an assertion inside f
  if want == nil then return err end
  local indexed, kind = pcall(function() return err.kind end)
  if indexed and type(err) ~= "string" and kind ~= nil then
    if kind ~= want then fail("raised kind %s, want %s: %s", show(kind), show(want), tostring(err)) end
  elseif not tostring(err):find(want) then
    fail("raised %s, want %s", show(tostring(err)), show(want))
  end
  return err
end

function t.skip(why)
  error({ skipped = skipped, why = why }, 0)
end

--- Ends the test: what it looks for cannot be had here, and was seen to fail. Counted apart.
function t.except(why)
  error({ excepted = excepted, why = why }, 0)
end

--- Runs f when the test ends, however it ends; last in, first out.
function t.cleanup(f) cleanups[#cleanups + 1] = f end

function t.before(f) hooks[#hooks].before = f end
function t.after(f) hooks[#hooks].after = f end

function t.slurp(name)
  return slurp(name) or fail("cannot read %s", name)
end

function t.write(name, text)
  local f, why = io.open(name, "wb")
  if not f then fail("cannot write %s: %s", name, why) end
  f:write(text)
  f:close()
  return name
end

function t.exists(name)
  local f = io.open(name, "rb")
  if f then f:close() end
  return f ~= nil
end

local temporary = 0
--- A fresh folder; removed after the test.
function t.tmpdir()
  local base = os.getenv "TUTTI_TEST_DIR" or "/tmp"
  local pid = slurp("/proc/self/stat"):match "^%d+"
  temporary = temporary + 1
  local dir = ("%s/%s-%s-%d"):format(base, file, pid, temporary)
  local here = require "tutti".here
  here:run { "mkdir", "-p", dir }
  t.cleanup(function() here:run { "rm", "-rf", dir } end)
  return dir
end

--- A shell command on this machine; the result of `try`.
function t.sh(command) return require "tutti".here:try(command) end

--- The binary under test with these arguments (and stdin, env, cwd … as options); the result of `try`.
function t.tutti(options)
  local command = { os.getenv "TUTTI" or "tutti" }
  for k, v in pairs(options) do
    if math.type(k) == "integer" then command[k + 1] = v else command[k] = v end
  end
  return require "tutti".here:try(command)
end

-- The children of this process. Left out are the one that looks, the guardian, and those that still have their
-- parent's command line (they have not executed anything yet). A zombie has no command line, and its name
-- stands for it. One `cat` reads the states of all processes: a shell's `read` asks for each byte.
local function children()
  local own = slurp("/proc/self/stat"):match "^%d+"
  local command, left = slurp "/proc/self/cmdline", {}
  local looked = require "tutti".here:run { "/bin/sh", "-c", "echo $$; cat /proc/[0-9]*/stat 2>/dev/null; true" }.stdout
  local looker = looked:match "^%d+"
  for pid, name, state, parent in looked:gmatch "\n(%d+) %((.-)%) (%a) (%d+) " do
    if parent == own and pid ~= looker then
      local line = state ~= "Z" and slurp("/proc/" .. pid .. "/cmdline") or ""
      if state == "Z" then
        left[#left + 1] = pid .. " " .. name .. " (ended, not reaped)"
      elseif line and line ~= command and line ~= "tutti-guardian\0" then
        left[#left + 1] = pid .. " " .. (line ~= "" and line:gsub("\0", " ") or name)
      end
    end
  end
  return table.concat(left, "; ")
end

--- How many processes of this machine have exactly these words as their command line, and their ids in a list. The
--- last word has to be one that few others have.
function t.processes(...)
  local words = table.pack(...)
  local found, line = {}, table.concat(words, "\0") .. "\0"
  local files = require "tutti".here:try { "/bin/sh", "-c", 'grep -lFzxe "$1" /proc/[0-9]*/cmdline 2>/dev/null',
    "processes", words[words.n] }
  for pid in files.stdout:gmatch "/proc/(%d+)/" do
    if slurp("/proc/" .. pid .. "/cmdline") == line then found[#found + 1] = pid end
  end
  return #found, found
end

--- Waits until condition() holds: for what others do in their own time. At most `seconds` (15).
function t.eventually(condition, note, seconds)
  local tutti = require "tutti"
  local limit = (seconds or 15) * patience
  local stop = tutti.now() + limit
  while not condition() do
    if tutti.now() > stop then fail("it did not come true within %g s: %s", limit, tostring(note)) end
    tutti.sleep "50ms"
  end
end

local function text_of(err)
  if type(err) == "table" and rawget(err, "spec") then return err.spec .. (err.where or "") end
  return tostring(err)
end

local function handler(err)
  if type(err) == "table" then
    if rawget(err, "spec") then
      -- the line of the test, not of this file
      for level = 2, 20 do
        local info = debug.getinfo(level, "Sl")
        if not info then break end
        if info.currentline > 0 and not info.source:find "support/spec%.lua$" then
          return { spec = err.spec, where = (" at %s:%d"):format(info.short_src, info.currentline) }
        end
      end
      return err
    elseif rawget(err, "skipped") or rawget(err, "excepted") then
      return err
    end
  end
  return { spec = text_of(err) .. "\n" .. debug.traceback("", 2) }
end

local function one_line(text)
  return (text:gsub("\n%s*", " | "))
end

local function run_body(body, options)
  local timeout = require "tutti".timeout
  local seconds = options and options.timeout or tonumber(os.getenv "TUTTI_TEST_TIMEOUT" or "") or 60
  seconds = seconds * patience
  return xpcall(function()
    for _, hook in ipairs(hooks) do if hook.before then hook.before() end end
    if timeout then timeout(seconds, body) else body() end
  end, handler)
end

function t.describe(name, body)
  path[#path + 1] = name
  hooks[#hooks + 1] = {}
  body()
  path[#path] = nil
  hooks[#hooks] = nil
end

function t.it(name, body, options)
  local full = file .. ": " .. table.concat(path, " ") .. (#path > 0 and " " or "") .. name
  if not full:find(filter, 1, true) then return end
  matched = matched + 1
  cleanups = {}
  local ok, err = run_body(body, options)
  for _, hook in ipairs(hooks) do
    if hook.after then
      local after_ok, after_err = xpcall(hook.after, handler)
      if not after_ok and ok then ok, err = false, after_err end
    end
  end
  for i = #cleanups, 1, -1 do
    local cleanup_ok, cleanup_err = xpcall(cleanups[i], handler)
    if not cleanup_ok and ok then ok, err = false, cleanup_err end
  end
  local left = children()
  if ok and left ~= "" then ok, err = false, { spec = "children left: " .. left } end
  if not ok and type(err) == "table" and rawget(err, "skipped") then
    io.write("skip ", full, ": ", tostring(err.why), "\n")
  elseif not ok and type(err) == "table" and rawget(err, "excepted") then
    executed = executed + 1
    io.write("excepted ", full, ": ", tostring(err.why), "\n")
  elseif ok then
    executed = executed + 1
    io.write("ok ", full, "\n")
  else
    executed = executed + 1
    io.write("not ok ", full, ": ", one_line(text_of(err)), "\n")
  end
  io.flush()
  if os.getenv "TUTTI_TEST_GC" then collectgarbage() end
end

--- The end of the file: tells scripts/test that nothing was cut off.
function t.done()
  io.write(("# done %d %d\n"):format(executed, matched))
  io.flush()
  local engine = package.loaded["tutti.engine"]
  while engine and engine.forgotten() do end -- specs declare workflows that nobody is meant to run
end

-- The type of a value as JSON has it; of an object its fields with theirs: "code:integer kind:string".
function t.shape(value)
  if value == require("tutti").json.null then
    return "null"
  elseif type(value) ~= "table" then
    return math.type(value) or type(value)
  end
  local names = {}
  for name, one in pairs(value) do
    names[#names + 1] = name
    names[name] = type(one) == "table" and "table" or t.shape(one)
  end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  local parts = {}
  for _, name in ipairs(names) do
    parts[#parts + 1] = ("%s:%s"):format(name, names[name])
  end
  return table.concat(parts, " ")
end

return t
