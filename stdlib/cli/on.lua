-- tutti on TARGET… -- CMD: one command on many environments at once.

local host = require "tutti.host"
local options = require "tutti.cli.options"
local targets = require "tutti.cli.targets"
local text = require "tutti.text"

local on = {}

on.options = {
  parallel = { value = "N", kind = "count", about = "targets at once (128)" },
  ["fail-fast"] = { about = "the first failure cancels the rest" },
  ["max-failures"] = { value = "N|N%", about = "start no more once so many, or that part, have failed" },
  timeout = { value = "DURATION", about = "how long each may take: 30s, 5m" },
  cwd = { value = "DIR", about = "the directory there" },
  user = { value = "NAME", about = "the user there to become" },
  env = { value = "NAME=value", many = true, about = "an environment variable there" },
  json = { about = "one JSON document on stdout" },
}

-- How many failures are too many: "3" → 3 are borne, "20%" → a fifth of all is.
local function failures_borne(value, total)
  if not value then
    return math.huge
  end
  local number, percent = value:match "^(%d+)(%%?)$"
  number = math.tointeger(tonumber(number))
  if not number or percent == "%" and number > 100 then
    error(text.invalid("tutti on: --max-failures takes a number or a percentage, not %q", value), 0)
  end
  return percent == "%" and total * number / 100 or number
end

local function command_of(words, opts)
  local command = #words == 1 and { sh = words[1] } or table.move(words, 1, #words, 1, {})
  command.timeout, command.cwd, command.user = opts.timeout, opts.cwd, opts.user
  for _, pair in ipairs(opts.env or {}) do
    local name, value = pair:match "^([^=]+)=(.*)$"
    if not name then
      error(text.invalid("tutti on: --env takes NAME=value, not %q", pair), 0)
    end
    command.env = command.env or {}
    command.env[name] = value
  end
  return command
end

-- What is wrong with the options themselves is found before anything starts.
local function check_command(command)
  local ok, err = pcall(function()
    require("tutti").here:with {
      timeout = command.timeout, cwd = command.cwd, user = command.user, env = command.env,
    }
  end)
  if not ok then
    local message = err.message:gsub("^env:with: ", ""):gsub("^option '(%w+)'", "--%1")
    error(text.invalid("tutti on: %s", message), 0)
  end
  return command
end

-- Runs it everywhere. Returns a list in the targets' order of { target, result } or { target, error };
-- targets that were not started have neither.
local function run_all(names, envs, command, opts)
  local tutti = require "tutti"
  local rows, failed = {}, 0
  local borne = failures_borne(opts["max-failures"], #names)
  for k, name in ipairs(names) do
    rows[k] = { target = name }
  end
  local indexes = {}
  for k = 1, #names do
    indexes[k] = k
  end
  local stop = text.invalid "stopped at the first failure"
  local ok, err = pcall(tutti.map, indexes, function(k)
    if failed > borne then
      return
    end
    local row = rows[k]
    local fine, result = pcall(envs[k].try, envs[k], command)
    if fine then
      row.result = result
    else
      row.error = result
    end
    if not fine or not result.ok then
      failed = failed + 1
      if opts["fail-fast"] then
        error(stop, 0)
      end
    end
  end, { parallel = opts.parallel or 128 })
  if not ok and err ~= stop then
    error(err, 0)
  end
  return rows
end

local function words_for(row)
  local result = row.result
  if row.error then
    return type(row.error) ~= "string" and row.error.kind or "script", tostring(row.error)
  elseif not result then
    return "not run", nil
  elseif result.ok then
    return "ok", nil
  end
  return result.kind, result.message
end

-- One target: its output as it is.
local function write_one(row)
  local result = row.result
  if result then
    io.stdout:write(result.stdout)
    io.stderr:write(result.stderr)
  end
  local words, message = words_for(row)
  if words ~= "ok" then
    io.stderr:write("tutti: ", (row.target:gsub(":$", "")), ": ", message or words, "\n")
  end
end

-- Targets with the same outcome and output stand together, what succeeded last.
local function write_folded(rows)
  local groups, by_key = {}, {}
  for _, row in ipairs(rows) do
    local words, message = words_for(row)
    local result = row.result or { stdout = "", stderr = "" }
    message = message and (message:gsub(row.target:gsub("%p", "%%%0"), "it"))
    local key = ("%q %q %q %q"):format(words, message or "", result.stdout, result.stderr)
    local group = by_key[key]
    if not group then
      group = { names = {}, words = words, message = message, result = result }
      by_key[key] = group
      groups[#groups + 1] = group
    end
    table.insert(group.names, row.target)
  end
  table.sort(groups, function(a, b)
    if (a.words == "ok") ~= (b.words == "ok") then
      return b.words == "ok"
    end
    return #a.names < #b.names
  end)
  for _, group in ipairs(groups) do
    io.stdout:write(("== %s%s: %s\n"):format(targets.fold(group.names),
      #group.names > 1 and (" (%d)"):format(#group.names) or "", group.message or group.words))
    for _, stream in ipairs { "stdout", "stderr" } do
      local bytes = group.result[stream]
      io.stdout:write(bytes, (bytes == "" or bytes:sub(-1) == "\n") and "" or "\n")
    end
  end
end

local function write_json(rows, failed)
  local json = require("tutti").json
  local list = json.array {}
  for k, row in ipairs(rows) do
    local result, words, message = row.result, words_for(row)
    list[k] = {
      target = row.target, ok = words == "ok", kind = words ~= "ok" and words or json.null,
      message = message or json.null, code = result and result.code or json.null,
      signal = result and result.signal or json.null,
      stdout = result and result.stdout or json.null, stderr = result and result.stderr or json.null,
      duration_s = result and result.duration or json.null,
    }
  end
  host.document(json.encode { targets = list, total = #rows, failed = failed } .. "\n")
end

function on.on(argv)
  local opts, words = options.parse("on", on.options, argv)
  if not words.rest or #words.rest == 0 then
    error(text.invalid "tutti on: the command is missing: tutti on TARGET… -- CMD", 0)
  elseif #words == 0 then
    error(text.invalid "tutti on: no target: tutti on TARGET… -- CMD", 0)
  end
  if opts.json then
    host.claim_stdout()
  end
  local tutti = require "tutti"
  local names, envs = targets.expand(words), {}
  for k, name in ipairs(names) do
    envs[k] = tutti.env(name)
  end
  local rows = host.program(run_all, names, envs, check_command(command_of(words.rest, opts)), opts)
  local failed = 0
  for _, row in ipairs(rows) do
    failed = failed + (words_for(row) == "ok" and 0 or 1)
  end
  if opts.json then
    write_json(rows, failed)
  elseif #rows == 1 then
    write_one(rows[1])
  else
    write_folded(rows)
    io.stderr:write(("%s: %d ok, %d not\n"):format(text.count(#rows, "target"), #rows - failed, failed))
  end
  return failed == 0 and 0 or 1
end

return on
