-- What the runtime offers besides commands: spawn, all, map, race, timeout, sleep, defer, coroutines, secrets.
local fault = require "fault"
local tutti = require "tutti"

fault.scenario(function()
  local ended = false
  local started = tutti.now()
  tutti.sleep "20ms"
  local slept = tutti.now() - started
  local values = tutti.all { function() tutti.sleep "5ms" return 1 end, function() return 2 end }
  local doubled = tutti.map({ 1, 2, 3 }, function(x) tutti.sleep "1ms" return 2 * x end, { parallel = 2 })
  local first = tutti.race { function() tutti.sleep "10s" return "slow" end, function() return "fast" end }
  local late, why = pcall(tutti.timeout, "20ms", function() tutti.sleep "10s" end)
  if not late then fault.honest(why) end
  local task = tutti.spawn(function() tutti.sleep "1ms" ended = true end)
  tutti.sleep "30ms"
  local generate = coroutine.wrap(function()
    for i = 1, 3 do tutti.sleep "1ms" coroutine.yield(i) end
  end)
  local sum = generate() + generate() + generate()
  return function()
    fault.claim(slept >= 0.019, "a sleep was cut short")
    fault.claim(values[1] == 1 and values[2] == 2, "all mixed its results up")
    fault.claim(doubled[1] == 2 and doubled[2] == 4 and doubled[3] == 6, "map mixed its results up")
    fault.claim(first == "fast", "race did not give the first")
    fault.claim(not late, "a timeout did not come")
    fault.claim(task == nil or ended, "a spawned function did not run")
    fault.claim(sum == 6, "a coroutine lost a value")
  end
end)
