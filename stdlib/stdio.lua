-- The parts of `io` and `os` that wait for something outside, as awaiting versions with the standard
-- arguments and results: reading standard input, io.popen, os.execute.

local host = require "tutti.host"
local tutti = require "tutti"

local stdio = {}

-- The functions of the C library that stay in use.
local native = require "tutti.native"

-- --- reading by formats from a source of chunks ---

local File = { __name = "FILE*" }
File.__index = File

-- A file over `source` (gives chunks, nil at the end) or `sink` (takes them); `finish` ends it.
local function new_file(name, self)
  self = self or {}
  self.name, self.buffer, self.at, self.open = name, "", 1, true
  return setmetatable(self, File)
end

-- Gets more bytes behind those that are there; false at the end.
local function fill(self)
  local chunk = not self.ended and self.source()
  if not chunk then
    self.ended = true
    return false
  end
  self.buffer = self.buffer:sub(self.at) .. chunk
  self.at = 1
  return true
end

local function take(self, last)
  local bytes = self.buffer:sub(self.at, last)
  self.at = self.at + #bytes
  return bytes
end

local function read_line(self, keep)
  local from = self.at
  while true do
    local stop = self.buffer:find("\n", from, true)
    if stop then
      local line = take(self, stop)
      return keep and line or line:sub(1, -2)
    end
    local rest = #self.buffer - self.at + 1
    if not fill(self) then
      return rest > 0 and take(self, -1) or nil
    end
    from = rest + 1
  end
end

local function read_all(self)
  local parts = { take(self, -1) }
  while fill(self) do
    parts[#parts + 1] = take(self, -1)
  end
  return table.concat(parts)
end

local function read_bytes(self, count)
  local parts, missing = {}, count
  repeat
    local there = #self.buffer - self.at + 1
    if missing > 0 and there > 0 then
      local part = take(self, self.at + math.min(missing, there) - 1)
      parts[#parts + 1] = part
      missing = missing - #part
    end
  until missing == 0 and (count > 0 or self.at <= #self.buffer) or not fill(self)
  if #parts == 0 and (count > 0 or self.at > #self.buffer) then
    return nil
  end
  return table.concat(parts)
end

-- A numeral as Lua's own reader takes it: at most 200 characters that can belong to one.
local function read_number(self)
  local function look()
    if self.at > #self.buffer then
      fill(self)
    end
    return self.buffer:sub(self.at, self.at)
  end
  while look():find "^%s" do
    self.at = self.at + 1
  end
  local text = ""
  while #text < 200 do
    local next = look()
    local sign = next:find "^[-+]$" and (text == "" or text:find "[eEpP]$")
    if next == "" or not (sign or next:find "^[%x.xXpP]$") then
      break
    end
    text = text .. next
    self.at = self.at + 1
  end
  return tonumber(text)
end

local function read_one(self, format)
  if math.type(format) == "integer" then
    return read_bytes(self, format)
  end
  local letter = type(format) == "string" and format:gsub("^%*", ""):sub(1, 1)
  if letter == "l" or letter == "L" then
    return read_line(self, letter == "L")
  elseif letter == "a" then
    return read_all(self)
  elseif letter == "n" then
    return read_number(self)
  end
  error "bad argument to 'read' (invalid format)"
end

local function check_open(self)
  if not self.open then
    error("attempt to use a closed file", 3)
  end
end

function File:read(...)
  check_open(self)
  if not self.source then
    return nil, "Bad file descriptor", 9
  end
  local formats = table.pack(...)
  if formats.n == 0 then
    return read_line(self)
  end
  local results = {}
  for i = 1, formats.n do
    results[i] = read_one(self, formats[i])
    if results[i] == nil then
      return table.unpack(results, 1, i)
    end
  end
  return table.unpack(results, 1, formats.n)
end

function File:lines(...)
  check_open(self)
  local formats = table.pack(...)
  return function()
    return self:read(table.unpack(formats, 1, formats.n))
  end
end

function File:write(...)
  check_open(self)
  if not self.sink then
    return nil, "Bad file descriptor", 9
  end
  local ok, err = pcall(self.sink, table.concat { ... })
  if ok then
    return self
  elseif err.kind ~= "io" then
    error(err, 0)
  end
  return nil, "Broken pipe", 32
end

function File:flush()
  check_open(self)
  return self
end

function File:setvbuf()
  check_open(self)
  return true
end

function File:seek()
  check_open(self)
  return nil, "Illegal seek", 29
end

function File:close()
  check_open(self)
  self.open = false
  if self.finish then
    return self.finish()
  end
  return true
end

File.__close = function(self)
  if self.open then
    self:close()
  end
end
File.__tostring = function(self)
  return self.open and ("file (%s)"):format(self.name) or "file (closed)"
end

-- --- commands ---

-- What `system` and `pclose` return: true or nil (fail), how it ended, the number.
local function standard_results(result)
  if result.ok then
    return true, "exit", 0
  elseif result.signal then
    return nil, "signal", result.code - 128
  elseif result.code then
    return nil, "exit", result.code
  end
  return nil, result.message, 0
end

local function forward(process, stream, out)
  while true do
    local chunk = process:read(stream)
    if not chunk then
      return
    end
    out:write(chunk)
    out:flush()
  end
end

local function check_command(command, name)
  if type(command) ~= "string" then
    error(("bad argument #1 to '%s' (string expected, got %s)"):format(name, type(command)), 3)
  end
end

-- os.execute: the command's output is ours; its stdin is empty.
function stdio.execute(command)
  if command == nil then
    return true
  end
  check_command(command, "execute")
  io.stdout:flush()
  local process = tutti.here:spawn { sh = command, stdin = false }
  tutti.all {
    function() forward(process, "stdout", io.stdout) end,
    function() forward(process, "stderr", io.stderr) end,
  }
  return standard_results(process:wait())
end

function stdio.popen(command, mode)
  check_command(command, "popen")
  mode = mode or "r"
  if mode ~= "r" and mode ~= "w" then
    error("bad argument #2 to 'popen' (invalid mode)", 2)
  end
  io.stdout:flush()
  local process = tutti.here:spawn { sh = command, stdin = mode == "w" }
  local errors = host.background(forward, process, "stderr", io.stderr)
  local output = mode == "w" and host.background(forward, process, "stdout", io.stdout)
  local file = new_file "popen"
  if mode == "w" then
    file.sink = function(bytes) process:write(bytes) end
  else
    file.source = function() return process:read() end
  end
  file.finish = function()
    if mode == "w" then
      process:close_stdin()
      output:join()
    elseif not file.ended then
      process:kill "PIPE"
    end
    errors:join()
    return standard_results(process:wait())
  end
  return file
end

-- --- standard input ---

stdio.stdin = new_file("stdin", native.stdin)
stdio.stdin.source = host.read_stdin
local current = stdio.stdin

local function is_ours(value)
  return getmetatable(value) == File
end

function stdio.read(...)
  return current:read(...)
end

-- Passes on what a function returns; its error as one of who called us.
local function passed_on(ok, ...)
  if not ok then
    error((...), 2)
  end
  return ...
end

function stdio.lines(name, ...)
  if name == nil then
    return current:lines(...)
  end
  return passed_on(pcall(native.lines, name, ...))
end

function stdio.input(file)
  if type(file) == "string" then
    local opened, why = native.open(file)
    current = opened or error(why, 2)
  elseif file ~= nil then
    if not stdio.type(file) then
      error(("bad argument #1 to 'input' (FILE* expected, got %s)"):format(type(file)), 2)
    end
    current = file
  end
  return current
end

function stdio.type(value)
  if is_ours(value) then
    return value.open and "file" or "closed file"
  end
  return native.type(value)
end

function stdio.close(file)
  if is_ours(file) then
    return file:close()
  elseif file == nil then
    return native.close()
  end
  return native.close(file)
end

return stdio
