-- A run's progress on a terminal: what ended scrolls up as lines; below them stand the running tasks,
-- each with its time and last line of output, and how much is done. Redrawn when something happened,
-- ten times a second at most, and each second for the clocks.
--
-- The same interface as plain.lua.

local host = require "tutti.host"
local plain = require "tutti.plain"
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

function live.new(out)
  local self = setmetatable({ out = out, running = {}, order = {}, done = 0, total = 0, drawn = 0,
    scroll = {}, changed = true, open = true }, live)
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
  self.scroll[#self.scroll + 1] = ("%s %s  %s"):format(mark or " ", task, words)
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

local function rows(self, width)
  local lines, now, widest = {}, tutti.now(), 0
  for k = 1, math.min(#self.order, most_lines) do
    widest = math.max(widest, utf8.len(self.order[k]) or #self.order[k])
  end
  widest = math.min(widest, 32)
  for k, task in ipairs(self.order) do
    if k > most_lines then
      lines[#lines + 1] = ("  … and %d more"):format(#self.order - most_lines)
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

function live:draw(last)
  local width = math.max(host.columns(2) - 1, 20)
  local lines = last and {} or rows(self, width)
  local up = self.drawn > 0 and ("\27[%dA"):format(self.drawn) or ""
  local block = { up, "\r\27[J" }
  for _, line in ipairs(self.scroll) do
    block[#block + 1] = line .. "\n"
  end
  for _, line in ipairs(lines) do
    block[#block + 1] = line .. "\n"
  end
  self.out:write(table.concat(block))
  self.out:flush()
  self.scroll, self.drawn, self.changed = {}, #lines, false
end

function live:finish()
  if self.open then
    self.open = false
    self.clock:cancel()
    self:draw(true)
  end
end

live.__close = live.finish

return live
