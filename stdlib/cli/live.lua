-- A run's progress on a terminal: what ended scrolls up as lines; below them stand the running tasks,
-- each with its time and last line of output, and how much is done. Redrawn when something happened,
-- ten times a second at most, and each second for the clocks. What scripts write to the terminal
-- meanwhile goes above the running tasks.
--
-- The same interface as plain.lua.

local host = require "tutti.host"
local plain = require "tutti.cli.plain"
local text = require "tutti.text"
local tutti = require "tutti"

local live = {}
live.__index = live

local marks = {
  completed = "\27[32m✓\27[0m", failed = "\27[31m✗\27[0m", skipped = "\27[2m-\27[0m",
  cancelled = "\27[33m∅\27[0m", rolled_back = "\27[33m↩\27[0m", rollback_failed = "\27[31m↩\27[0m",
}
local most_lines = 12
local longest_line = 1024 -- bytes of a line that are looked at

-- While the view is open, `print` and the files' `write` make room on the terminal first. A line that
-- is not complete yet keeps it: nothing is drawn until its end.
local function watch_writes(self)
  local methods = getmetatable(self.out).__index
  local saved = { print = print, io_write = io.write, write = methods.write }
  local on_terminal = {}
  for fd, file in ipairs { io.stdout, io.stderr } do
    on_terminal[file] = host.isatty(fd) or nil
  end
  local function before(file, ...)
    if on_terminal[file] and select("#", ...) > 0 then
      self:clear()
      local last = select(-1, ...)
      self.held = type(last) ~= "string" or last:sub(-1) ~= "\n"
    end
  end
  local function watched_print(...)
    before(io.stdout, "\n")
    return saved.print(...)
  end
  local function watched_io_write(...)
    before(io.output(), ...)
    return saved.io_write(...)
  end
  function methods.write(file, ...)
    before(file, ...)
    return saved.write(file, ...)
  end
  print, io.write = watched_print, watched_io_write -- luacheck: ignore
  self.write = saved.write
  self.unwatch = function()
    methods.write = saved.write
    print = print == watched_print and saved.print or print -- luacheck: ignore
    io.write = io.write == watched_io_write and saved.io_write or io.write -- luacheck: ignore
  end
end

function live.new(out)
  local self = setmetatable({ out = out, running = {}, order = {}, done = 0, total = 0, drawn = 0,
    scroll = {}, changed = true, open = true }, live)
  watch_writes(self)
  self.clock = tutti.spawn(function()
    while self.open do
      tutti.sleep "100ms"
      self.tick = (self.tick or 0) + 1
      if self.open and (self.changed or self.tick % 10 == 0) then
        self:draw()
      end
    end
  end)
  return self
end

local function add(self, event, phase)
  if not self.running[event.task] then
    self.order[#self.order + 1] = event.task
  end
  self.running[event.task] = { since = tutti.now(), phase = phase, last = "" }
end

local function remove(self, task)
  self.running[task] = nil
  for k, name in ipairs(self.order) do
    if name == task then
      table.remove(self.order, k)
      return
    end
  end
end

-- The last line that shows something, of what may be long; nil for none.
local function last_line(whole)
  local stop = #whole
  while stop > 0 and whole:find("^%s", stop) do
    stop = stop - 1
  end
  if stop > 0 then
    return whole:sub(math.max(1, stop - longest_line), stop):match "[^\n]*$"
  end
end

local function output(self, event)
  local row = self.running[event.task]
  if not row then
    return
  end
  local bytes = (row.part or "") .. event.text
  local whole, rest = bytes:match "^(.*)\n([^\n]*)$"
  local last = whole and last_line(whole)
  row.last = last and text.printable(last) or row.last
  row.part = (rest or bytes):sub(-longest_line)
end

local handlers = {
  run_started = function(self, event)
    self.total = event.total
  end,
  attempt_started = function(self, event)
    add(self, event, event.attempt > 1 and ("attempt %d"):format(event.attempt) or nil)
  end,
  output = output,
  health = function(self, event)
    local row = self.running[event.task]
    if row then
      row.last = plain.describe(event)
    end
  end,
  retry = function(self, event)
    remove(self, event.task)
    self:line("\27[33m↻\27[0m", event.task, plain.describe(event))
  end,
  task_ended = function(self, event)
    remove(self, event.task)
    self.done, self.total = event.done, event.total
    self:line(marks[event.status], event.task, plain.describe(event))
  end,
  tasks_added = function(self, event)
    self.total = event.total
  end,
  cancelling = function(self, event)
    self:line("\27[33m■\27[0m", "run", plain.describe(event))
  end,
  warning = function(self, event)
    self:line("\27[33m!\27[0m", event.task or "run", plain.describe(event))
  end,
  rollback_started = function(self, event)
    add(self, event, "rolling back")
  end,
  rollback_ended = function(self, event)
    remove(self, event.task)
    self:line(marks[event.status], event.task, plain.describe(event))
  end,
}

-- A line that stays.
function live:line(mark, task, words)
  self.scroll[#self.scroll + 1] = ("%s %s  %s\27[K\n"):format(mark or " ", task, words)
end

function live:events(events, n)
  for i = 1, n do
    local handle = handlers[events[i].type]
    if handle then
      handle(self, events[i])
      self.changed = true
    end
  end
end

local function rows(self, width, height)
  local lines, now, widest = {}, tutti.now(), 0
  local most = math.max(1, math.min(most_lines, height - 3))
  for k = 1, math.min(#self.order, most) do
    widest = math.max(widest, utf8.len(self.order[k]) or #self.order[k])
  end
  widest = math.min(widest, 32)
  for k, task in ipairs(self.order) do
    if k > most then
      lines[#lines + 1] = ("  … and %d more"):format(#self.order - most)
      break
    end
    local row = self.running[task]
    local name = text.cut(task, 32)
    lines[#lines + 1] = text.cut(("  %s%s %7s  %s"):format(name,
      (" "):rep(widest - (utf8.len(name) or #name)), text.duration(now - row.since),
      row.phase and (row.phase .. (row.last ~= "" and ": " or "")) .. row.last or row.last), width)
  end
  if self.total > 0 then
    lines[#lines + 1] = text.cut(("  %d/%d done, %d running"):format(self.done, self.total,
      #self.order), width)
  end
  return lines
end

local function up(self)
  return (self.drawn > 0 and ("\27[%dA"):format(self.drawn) or "") .. "\r"
end

-- Takes the running tasks off the terminal, until they are drawn again.
function live:clear()
  if self.drawn > 0 then
    self.write(self.out, up(self), "\27[J", table.concat(self.scroll))
    self.out:flush()
    self.scroll, self.drawn, self.changed = {}, 0, true
  end
end

-- Line by line over what stood there: clearing all at once would flicker, and some terminals keep a
-- cleared screen in their history. Nothing wraps: a row that did would be two.
function live:draw(last)
  if self.held and not last then
    return
  end
  local columns, height = host.columns(2)
  local width = math.max((columns or 80) - 1, 20)
  local lines = last and {} or rows(self, width, height or 24)
  local block = { self.held and "\n" or up(self), table.concat(self.scroll), "\27[?7l" }
  for _, line in ipairs(lines) do
    block[#block + 1] = line .. "\27[K\n"
  end
  block[#block + 1] = "\27[?7h\27[J"
  self.write(self.out, table.concat(block))
  self.out:flush()
  self.scroll, self.drawn, self.changed, self.held = {}, #lines, false, false
end

function live:finish()
  if self.open then
    self.open = false
    self.clock:cancel()
    self:draw(true)
    self.unwatch()
  end
end

live.__close = live.finish

return live
