-- Words and figures for people: suggestions, durations, sizes, columns.

local text = {}

-- The name that was probably meant, or nil.
function text.suggest(word, names)
  table.sort(names)
  return require("tutti.host").nearest(word, names)
end

-- An error of kind `invalid`, made of a format.
function text.invalid(format, ...)
  return require("tutti").Error { kind = "invalid", message = format:format(...) }
end

-- 0.034 → "34 ms", 2.5 → "2.5 s", 75 → "1m15s".
function text.duration(seconds)
  if not seconds then
    return "-"
  elseif seconds < 0.9995 then
    return ("%.0f ms"):format(seconds * 1000)
  elseif seconds < 59.95 then
    return ("%.1f s"):format(seconds)
  end
  local whole = math.floor(seconds + 0.5)
  if whole < 3600 then
    return ("%dm%02ds"):format(whole // 60, whole % 60)
  end
  return ("%dh%02dm%02ds"):format(whole // 3600, whole // 60 % 60, whole % 60)
end

function text.size(bytes)
  if not bytes then
    return "-"
  end
  local value, unit = bytes, "B"
  for _, larger in ipairs { "KiB", "MiB", "GiB", "TiB" } do
    if value < 1024 then
      break
    end
    value, unit = value / 1024, larger
  end
  return (unit == "B" and "%d %s" or "%.1f %s"):format(value, unit)
end

-- "1 task", "3 tasks".
function text.count(number, noun)
  return ("%d %s%s"):format(number, noun, number == 1 and "" or "s")
end

-- Without control characters, invalid UTF-8 shown as "?": what a command printed must not steer the
-- terminal that shows it.
function text.printable(line)
  line = line:gsub("\27%[[%d;?]*[A-Za-z]", ""):gsub("\t", "    "):gsub("[%c\127]", "")
  if utf8.len(line) then
    return line
  end
  return (line:gsub("[\128-\255]", "?"))
end

local most_lines = 20

-- The last lines of a command's output that hold something.
function text.last_lines(output)
  local lines = {}
  for line in (output or ""):gmatch "[^\n]+" do
    lines[#lines + 1] = text.printable(line)
  end
  return table.move(lines, math.max(1, #lines - most_lines + 1), #lines, 1, {})
end

-- At most `width` characters, the cut marked.
function text.cut(line, width)
  local length = utf8.len(line) or #line
  if length <= width then
    return line
  elseif width < 2 then
    return ""
  end
  local stop = utf8.len(line) and utf8.offset(line, width) or width
  return line:sub(1, stop - 1) .. "…"
end

local function width_of(cell)
  return utf8.len(cell) or #cell
end

-- Rows of cells as lines with aligned columns; `right` names the columns that align right.
function text.columns(rows, right)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for c, cell in ipairs(row) do
      widths[c] = math.max(widths[c] or 0, width_of(cell))
    end
  end
  for _, row in ipairs(rows) do
    local cells = {}
    for c, cell in ipairs(row) do
      local pad = (" "):rep(widths[c] - width_of(cell))
      cells[c] = right and right[c] and pad .. cell or cell .. pad
    end
    lines[#lines + 1] = (table.concat(cells, "  "):gsub(" +$", ""))
  end
  return lines
end

return text
