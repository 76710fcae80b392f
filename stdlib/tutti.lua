-- What `require "tutti"` gives. Parts that not every script uses are loaded on first use.

local host = require "tutti.host"

local tutti = {
  version = host.version,
  now = host.now,
  sleep = host.sleep,
  spawn = host.spawn,
  defer = host.defer,
  all = host.all,
  map = host.map,
  race = host.race,
  timeout = host.timeout,
}

-- Each gives the value of the field.
local lazy = {
  Error = function() return require "tutti.error" end,
  json = function() return require "tutti.json" end,
  secret = function() return require "tutti.secret" end,
  docker = function() return require "tutti.docker" end,
  k8s = function() return require "tutti.k8s" end,
  workflow = function() return require("tutti.engine").workflow end,
}
for _, name in ipairs { "here", "env", "copy", "ssh" } do
  lazy[name] = function() return require("tutti.env")[name] end
end

return setmetatable(tutti, {
  __index = function(_, name)
    local load = lazy[name]
    if load then
      local value = load()
      rawset(tutti, name, value)
      return value
    end
  end,
})
