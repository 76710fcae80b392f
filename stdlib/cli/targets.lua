-- Targets as people write them on the command line.
--
--   web-[01:20]                 web-01 web-02 … web-20 (as many digits as the first has)
--   web-[1:2]-[a,b]             every combination
--   ssh://deploy@web-1,web-2    a comma list; what begins the first (scheme, user) goes for the
--                               others, unless they bring their own
--
-- The other way round, names are folded into ranges for people to read.

local text = require "tutti.text"

local targets = {}

local most = 100000

-- The commas of a list, but not those within brackets.
local function split(list)
  local items, depth, from = {}, 0, 1
  for at = 1, #list do
    local byte = list:sub(at, at)
    if byte == "[" then
      depth = depth + 1
    elseif byte == "]" then
      depth = depth - 1
    elseif byte == "," and depth == 0 then
      items[#items + 1] = list:sub(from, at - 1)
      from = at + 1
    end
  end
  items[#items + 1] = list:sub(from)
  return items
end

-- The values that a bracket stands for, or nil when it is none of ours (an IPv6 address, say).
local function values_of(inside, whole)
  local first, last = inside:match "^(%d+):(%d+)$"
  if first then
    local from, to = math.tointeger(tonumber(first)), math.tointeger(tonumber(last))
    if not from or not to or to < from then
      error(text.invalid("%s: the range [%s] is empty", whole, inside), 0)
    elseif to - from >= most then
      error(text.invalid("%s: the range [%s] has more than %d hosts", whole, inside, most), 0)
    end
    local values, format = {}, first:match "^0" and ("%%0%dd"):format(#first) or "%d"
    for number = from, to do
      values[#values + 1] = format:format(number)
    end
    return values
  elseif inside:find(",", 1, true) and not inside:find(":", 1, true) then
    return split(inside)
  end
end

local function expand(item, whole, out)
  local before, inside, after = item:match "^(.-)(%b[])(.*)$"
  while before do
    local values = values_of(inside:sub(2, -2), whole)
    if values then
      for _, value in ipairs(values) do
        expand(before .. value .. after, whole, out)
      end
      return
    end
    local more, next_inside, rest = after:match "^(.-)(%b[])(.*)$"
    if not more then
      break
    end
    before, inside, after = before .. inside .. more, next_inside, rest
  end
  if #out >= most then
    error(text.invalid("%s stands for more than %d hosts", whole, most), 0)
  end
  out[#out + 1] = item
end

-- All the targets that these words stand for, each once, in order.
function targets.expand(words)
  local all, seen, unique = {}, {}, {}
  for _, word in ipairs(words) do
    local prefix
    for k, item in ipairs(split(word)) do
      if item == "" then
        error(text.invalid("%q has an empty target", word), 0)
      end
      local scheme, rest = item:match "^([%w%-]+://)(.*)$"
      local user = (rest or item):match "^[^/@]*@"
      if k == 1 then
        prefix = (scheme or "") .. (user or "")
      elseif not scheme then
        item = (user and prefix:match "^[%w%-]+://" or prefix or "") .. item
      end
      expand(item, word, all)
    end
  end
  for _, target in ipairs(all) do
    if not seen[target] then
      seen[target] = true
      unique[#unique + 1] = target
    end
  end
  return unique
end

-- { "web-01", "web-02", "db" } → "web-[01:02], db".
function targets.fold(names)
  local parts, k = {}, 1
  while k <= #names do
    local before, digits, after = names[k]:match "^(.-)(%d+)(%D*)$"
    local last = k
    while before and last < #names do
      local number = tonumber(digits) + (last - k) + 1
      local form = digits:match "^0" and ("%%0%dd"):format(#digits) or "%d"
      if names[last + 1] ~= before .. form:format(number) .. after then
        break
      end
      last = last + 1
    end
    if last > k then
      parts[#parts + 1] = ("%s[%s:%s]%s"):format(before, digits,
        names[last]:sub(#before + 1, #names[last] - #after), after)
    else
      parts[#parts + 1] = names[k]
    end
    k = last + 1
  end
  return table.concat(parts, ", ")
end

return targets
