-- Standard input, io.popen and os.execute; the document of --json.
local fault = require "fault"
local tutti = require "tutti"

local flow = fault.dir() .. "/flow.lua"
do
  local f <close> = assert(io.open(flow, "w"))
  assert(f:write [[
    local flow = require "tutti".workflow "document"
    flow.task "a" { run = "echo a" }
    return flow
  ]])
end

fault.scenario(function()
  local input = io.read "a"
  local ok, how, code = os.execute("echo x >> " .. fault.dir() .. "/executed")
  local p = io.popen "seq 1000"
  local read = p:read "a"
  local closed = p:close()
  local document = tutti.here:try { os.getenv "TUTTI", "run", "--json", "--quiet", flow, cwd = fault.dir() }
  return function()
    fault.claim(input == "", "an empty input gave bytes")
    fault.claim(not ok or fault.read(fault.dir() .. "/executed") == "x\n", "a command ran not once")
    fault.claim(how == "exit" and code == 0 or not ok, "a failure was reported as success")
    fault.claim(not closed or select(2, read:gsub("\n", "")) == 1000, "lines were lost")
    if document.ok then
      fault.claim(document.stdout:find '"status":"completed"' and document.stdout:sub(-1) == "\n",
        "success without the whole document")
    end
  end
end)
