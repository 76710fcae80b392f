-- A run's progress as plain lines, each with the name of its task before it: for logs and pipes.
--
--   view:events(events, n)    takes a batch of the engine's events
--   view:finish()             writes what is still incomplete; may be called again

local text = require "tutti.text"

local plain = {}
plain.__index = plain

function plain.new(out)
  return setmetatable({ out = out, parts = {} }, plain)
end

-- What happened, in words; nil for what a reader of progress need not know. live.lua uses it too.
function plain.describe(event)
  local kind, err = event.type, event.error
  local why = err and (": " .. text.printable((err.message:gsub("%s*\n.*", "")))) or ""
  if kind == "attempt_started" then
    local where = event.environment ~= "local:" and " on " .. event.environment or ""
    return (event.attempt > 1 and "started again%s (attempt %d)" or "started%s"):format(where,
      event.attempt)
  elseif kind == "retry" then
    return ("attempt %d failed%s; next in %s"):format(event.attempt - 1, why,
      text.duration(event.delay_s))
  elseif kind == "health" then
    return err and "not healthy yet" .. why or "healthy"
  elseif kind == "task_ended" then
    local took = event.duration_s and event.attempts > 0 and " in " .. text.duration(event.duration_s)
    local reason = event.reason and ": " .. text.printable(event.reason) or ""
    return event.status .. (took or "") .. why .. reason
  elseif kind == "rollback_started" then
    return "rolling back"
  elseif kind == "rollback_ended" then
    return (event.status == "rollback_failed" and "rollback failed" or "rolled back") .. why
  elseif kind == "tasks_added" then
    return "added " .. table.concat(event.tasks, ", ")
  elseif kind == "cancelling" then
    return "stopping" .. why
  elseif kind == "warning" then
    return "warning" .. why
  end
end

-- Splits what came of a task's stream into whole lines; the rest is kept until more comes.
local function output(self, event, lines)
  local key = event.task .. "\0" .. event.stream
  local bytes = (self.parts[key] or "") .. event.text
  local from = 1
  while true do -- a pattern would look at a long last line again from each of its bytes
    local stop = bytes:find("\n", from, true)
    if not stop then
      break
    end
    lines[#lines + 1] = ("%s | %s\n"):format(event.task, text.printable(bytes:sub(from, stop - 1)))
    from = stop + 1
  end
  local rest = bytes:sub(from)
  if #rest > 8192 then
    lines[#lines + 1] = ("%s | %s\n"):format(event.task, text.printable(rest))
    rest = ""
  end
  self.parts[key] = rest ~= "" and rest or nil
end

local function flush(self, task, lines)
  for _, stream in ipairs { "stdout", "stderr" } do
    local key = task .. "\0" .. stream
    if self.parts[key] then
      lines[#lines + 1] = ("%s | %s\n"):format(task, text.printable(self.parts[key]))
      self.parts[key] = nil
    end
  end
end

function plain:events(events, n)
  local lines = {}
  for i = 1, n do
    local event = events[i]
    if event.type == "output" then
      output(self, event, lines)
    else
      if event.task then
        flush(self, event.task, lines)
      end
      local words = plain.describe(event)
      if words then
        lines[#lines + 1] = ("%s: %s\n"):format(event.task or event.by or "run", words)
      end
    end
  end
  self.out:write(table.concat(lines))
end

function plain:finish()
  local lines = {}
  for key, rest in pairs(self.parts) do
    lines[#lines + 1] = ("%s | %s\n"):format(key:match "^[^\0]*", text.printable(rest))
  end
  self.parts = {}
  table.sort(lines)
  self.out:write(table.concat(lines))
end

plain.__close = plain.finish

return plain
