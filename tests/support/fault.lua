--- Fault scenarios: what tests/fault/*.lua are written with. The fault suite runs a scenario once, to learn which
--- fault points it passes, and then again and again with one of them failing. A scenario may fail then; it
--- must not lie, hang, crash or leave anything behind.
---
---   local fault = require "fault"
---   fault.scenario(function()
---     here:write(path, "data")                              -- may raise: an honest failure
---     return function() fault.claim(fault.read(path) == "data", "write returned, but the data is not there") end
---   end)
local fault = {}

--- What was reported and is not so: the process ends with code 3, which nothing else uses.
function fault.lie(what)
  io.stderr:write("A LIE: ", what, "\n")
  os.exit(3)
end

function fault.claim(holds, what)
  if not holds then fault.lie(what) end
end

--- A file's content or nil, read without the code under test.
function fault.read(path)
  local f <close> = io.open(path, "rb")
  return f and f:read "a"
end

--- A folder that is fresh for every run.
function fault.dir() return assert(os.getenv "TUTTI_TEST_FAULT_DIR", "run by scripts/test fault") end

--- `err` has to be one of tutti's errors: it has a kind. Anything else is a mistake in code that should
--- have reported a failure.
function fault.honest(err)
  local has_kind, kind = pcall(function() return err.kind end)
  if not has_kind or type(kind) ~= "string" then
    fault.lie("an error without a kind was raised: " .. tostring(err))
  end
end

--- Calls work(), which returns a function that verifies by other means what work said that it did.
function fault.scenario(work)
  local done, verify = pcall(work)
  if not done then
    fault.honest(verify)
    print("# failed honestly: " .. tostring(verify))
    return
  end
  verify()
  print "# verified"
end

return fault
