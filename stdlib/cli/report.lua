-- The final report of a run, for people: every task's outcome, the critical path, and the first
-- cause of a failure with the last lines of its output.

local text = require "tutti.text"

local report = {}

local most_rows = 200  -- of the table; above it, only what did not complete

local function status_of(task)
  local status = task.status
  local rollback = task.rollback and task.rollback.status
  if rollback and (status == "failed" or status == "cancelled") then
    status = ("%s, %s"):format(status, rollback == "running" and "rolling back" or rollback)
  end
  status = status:gsub("_", " ")
  return task.reason and ("%s: %s"):format(status, text.printable(task.reason)) or status
end

local function table_of(document)
  local brief = #document.tasks > most_rows
  local rows = { { "task", "status", "attempts", "duration", "memory", "environment" } }
  local left_out = 0
  for _, task in ipairs(document.tasks) do
    if brief and task.status == "completed" then
      left_out = left_out + 1
    else
      rows[#rows + 1] = {
        task.id, status_of(task), task.attempts > 0 and tostring(task.attempts) or "-",
        text.duration(task.duration_s), text.size(task.peak_memory), task.environment or "-",
      }
    end
  end
  local lines = #rows > 1 and text.columns(rows, { false, false, true, true, true }) or {}
  if left_out > 0 then
    lines[#lines + 1] = ("and %s that completed"):format(text.count(left_out, "task"))
  end
  return lines
end

local function counts_of(document)
  local parts = {}
  for _, status in ipairs { "completed", "failed", "skipped", "cancelled", "rolled_back",
    "rollback_failed" } do
    local number = document.counts[status]
    if number and number > 0 then
      parts[#parts + 1] = ("%d %s"):format(number, (status:gsub("_", " ")))
    end
  end
  return table.concat(parts, ", ")
end

local function cause_lines(cause, add)
  local first, more = cause.message:match "^([^\n]*)\n?(.*)$"
  add(("  %s%s: %s (%s)"):format(cause.task, cause.rollback and "'s rollback" or "",
    text.printable(first), cause.kind))
  for line in more:gmatch "[^\n]+" do
    add("    " .. text.printable(line))
  end
end

function report.write(out, document)
  local lines = {}
  local function add(line)
    lines[#lines + 1] = line
  end
  add ""
  for _, line in ipairs(table_of(document)) do
    add(line)
  end
  add ""
  add(("%s %s in %s: %s"):format(document.workflow, document.status,
    text.duration(document.duration_s), counts_of(document)))
  local path = document.critical_path
  if path and #path > 0 then
    local names = #path <= 12 and table.concat(path, " → ")
      or ("%s → … %d more … → %s"):format(path[1], #path - 2, path[#path])
    add(("critical path, %s: %s"):format(text.duration(document.critical_s), names))
  end
  if document.peak_memory then
    add("peak memory of a task: " .. text.size(document.peak_memory))
  end
  local causes = document.causes or {}
  if causes[1] then
    add "first cause:"
    cause_lines(causes[1], add)
    local stderr = text.last_lines(causes[1].stderr)
    local output = #stderr > 0 and stderr or text.last_lines(causes[1].stdout)
    for _, line in ipairs(output) do
      add("    | " .. line)
    end
    if causes[1].kind == "script" and causes[1].traceback then
      for line in causes[1].traceback:gmatch "[^\n]+" do
        add("    " .. text.printable((line:gsub("\t", "  "))))
      end
    end
    if causes[1].log then
      add((causes[1].log_incomplete and "    its log is incomplete: " or "    all of its output: ")
        .. causes[1].log)
    end
  end
  if #causes > 1 then
    add "then also:"
    for k = 2, math.min(#causes, 20) do
      cause_lines(causes[k], add)
    end
    if #causes > 20 then
      add(("  and %d more"):format(#causes - 20))
    end
  end
  out:write(table.concat(lines, "\n"), "\n")
end

return report
