-- Reads the command line of one command by a table of what it accepts.
--
--   local opts, words = options.parse("run", {
--     jobs = { short = "j", value = "N", kind = "count" },     -- --jobs N, --jobs=N, -j N, -jN
--     json = {},                                               -- --json
--     param = { short = "p", value = "name=value", many = true },
--   }, argv)
--
-- Everything after `--` is left alone and comes back in words.rest. A mistake is raised as an error of
-- kind `invalid` that names the option and, where one is near, the one that was meant.

local text = require "tutti.text"

local options = {}

local function wrong(command, message, ...)
  error(text.invalid("tutti %s: " .. message, command, ...), 0)
end

local kinds = {
  string = function(value) return value ~= "" and value or nil, "some text" end,
  count = function(value)
    local number = value:match "^%d+$" and math.tointeger(tonumber(value))
    return number and number >= 1 and number <= 1000000 and number or nil,
      "a whole number from 1 to 1000000"
  end,
  list = function(value)
    local items = {} -- a comma in brackets is an instance's: test[os=linux,v=1]
    value = value:gsub("%b[]", function(inside) return (inside:gsub(",", "\0")) end)
    for item in value:gmatch "[^,]+" do
      items[#items + 1] = (item:gsub("%z", ","))
    end
    return #items > 0 and items or nil, "names with commas between"
  end,
}

-- The option that a word stands for, as name and specification.
local function find(command, known, word, flag)
  for name, spec in pairs(known) do
    if (#flag == 1 and spec.short == flag) or name == flag then
      return name, spec
    end
  end
  local names = {}
  for name in pairs(known) do
    names[#names + 1] = name
  end
  local near = text.suggest(flag, names)
  wrong(command, "there is no option %s%s", word, near and (", did you mean --" .. near .. "?")
    or (" (tutti help %s lists them)"):format(command))
end

local function set(command, opts, name, spec, word, value)
  local read, expected = kinds[spec.kind or "string"](value)
  if read == nil then
    wrong(command, "%s takes %s, not %q", word, expected, value)
  end
  if spec.many then
    opts[name] = opts[name] or {}
    table.insert(opts[name], read)
  elseif opts[name] ~= nil then
    wrong(command, "%s is given twice", word)
  else
    opts[name] = read
  end
end

function options.parse(command, known, argv)
  local opts, words, at = {}, {}, 1
  local function take(word)
    at = at + 1
    if argv[at] == nil then
      wrong(command, "%s needs a value", word)
    end
    return argv[at]
  end
  while at <= #argv do
    local word = argv[at]
    local long, value = word:match "^%-%-([^=]+)=?(.*)$"
    if word == "--" then
      words.rest = table.move(argv, at + 1, #argv, 1, {})
      break
    elseif long then
      local name, spec = find(command, known, "--" .. long, long)
      local inline = word:find("=", 1, true)
      if spec.value then
        set(command, opts, name, spec, "--" .. long, inline and value or take(word))
      elseif inline then
        wrong(command, "--%s takes no value", long)
      else
        opts[name] = true
      end
    elseif word:match "^%-." then
      local flag = word:sub(2, 2)
      local name, spec = find(command, known, "-" .. flag, flag)
      if spec.value then
        set(command, opts, name, spec, "-" .. flag, #word > 2 and word:sub(3) or take(word))
      elseif #word > 2 then
        wrong(command, "-%s takes no value", flag)
      else
        opts[name] = true
      end
    else
      words[#words + 1] = word
    end
    at = at + 1
  end
  return opts, words
end

return options
