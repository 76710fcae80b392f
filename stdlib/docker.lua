-- tutti.docker: containers as environments (called as a function), and what else a daemon does:
-- containers, images, logs, stats, pull, build, waiting until a container is healthy.
--
-- A container is named by its name or id, or by its environment; the daemon by the last argument's
-- fields host, context and cert_path, else by the surroundings or the environment's own.
local client = require "tutti.client"
local env = require "tutti.env"
local json = require "tutti.json"

local docker = {}

local function invalid(...)
  error(require "tutti.error" { kind = "invalid", message = string.format(...) }, 0)
end

local where_names = { "host", "context", "cert_path" }

-- Checks the names of o; returns the daemon's client.
local function daemon(what, o, names, of)
  local all = { table.unpack(names) }
  table.move(where_names, 1, #where_names, #all + 1, all)
  client.check(what, o or {}, all)
  if of then
    return client.docker(of)
  end
  return client.docker { host = o and o.host, context = o and o.context, cert_path = o and o.cert_path }
end

-- The container's name and its environment, if that is how it was given.
local function container_of(what, value)
  local kind, name = client.parts(value)
  if kind == "docker" then
    return name, value
  elseif kind == "docker-image" then
    client.ready(value)
    return select(2, client.parts(value)), value
  elseif type(value) == "string" and value:match "^%w[%w_.-]*$" then
    return value
  end
  invalid("%s: the container must be a name or its environment, got %s", what,
    type(value) == "string" and ("'%s'"):format(value) or type(value))
end

local function filters_of(o)
  return client.escape(json.encode(o))
end

-- Runs f(bytes) for what a stream brings, and closes it whatever happens.
local function each_chunk(stream, f)
  local guard <close> = stream
  while true do
    local bytes = guard:read()
    if not bytes then
      return
    end
    f(bytes)
  end
end

-- Splits into lines what comes in pieces; the rest is given by calling it without bytes.
local function splitter(f)
  local held = ""
  return function(bytes)
    if not bytes then
      if held ~= "" then
        f(held)
      end
      return
    end
    held = held .. bytes
    local from = 1
    while true do
      local stop = held:find("\n", from, true)
      if not stop then
        break
      end
      f(held:sub(from, stop - 1))
      from = stop + 1
    end
    held = held:sub(from)
  end
end

-- containers{ all =, label = }: a list of { id, name, image, state, status, labels }.
function docker.containers(o)
  o = o or {}
  local d = daemon("docker.containers", o, { "all", "label" })
  local path = "/containers/json?all=" .. (o.all and "1" or "0")
  if o.label then
    path = path .. "&filters=" .. filters_of { label = json.array { o.label } }
  end
  local list = {}
  for i, c in ipairs(d:call("GET", path)) do
    list[i] = { id = c.Id, name = (c.Names[1] or ""):gsub("^/", "", 1), image = c.Image, state = c.State,
      status = c.Status, labels = c.Labels }
  end
  return list
end

-- images{ all = }: a list of { id, tags, size, created }.
function docker.images(o)
  o = o or {}
  local d = daemon("docker.images", o, { "all" })
  local list = {}
  for i, image in ipairs(d:call("GET", "/images/json?all=" .. (o.all and "1" or "0"))) do
    local tags = type(image.RepoTags) == "table" and image.RepoTags or {}
    list[i] = { id = image.Id, tags = tags, size = image.Size, created = image.Created }
  end
  return list
end

-- inspect(container[, where]): what the daemon knows of it.
function docker.inspect(container, o)
  local name, of = container_of("docker.inspect", container)
  return daemon("docker.inspect", o, {}, of):call("GET", "/containers/" .. name .. "/json")
end

-- remove(container[, { force =, volumes = }])
function docker.remove(container, o)
  o = o or {}
  local name, of = container_of("docker.remove", container)
  local d = daemon("docker.remove", o, { "force", "volumes" }, of)
  d:call("DELETE", ("/containers/%s?force=%d&v=%d"):format(name, o.force and 1 or 0, o.volumes and 1 or 0))
end

-- logs(container[, { follow =, since =, tail =, timestamps = }]): an iterator over line, "stdout" or
-- "stderr". since: seconds since 1970, or a date as the daemon reads it; tail: that many lines.
function docker.logs(container, o)
  o = o or {}
  local name, of = container_of("docker.logs", container)
  local d = daemon("docker.logs", o, { "follow", "since", "tail", "timestamps" }, of)
  local tty = d:call("GET", "/containers/" .. name .. "/json").Config.Tty
  local path = ("/containers/%s/logs?stdout=1&stderr=1&follow=%d&timestamps=%d"):format(name,
    o.follow and 1 or 0, o.timestamps and 1 or 0)
  if o.since then
    path = path .. "&since=" .. client.escape(tostring(o.since))
  end
  if o.tail then
    path = path .. "&tail=" .. client.escape(tostring(o.tail))
  end
  local stream = d:open(path)
  local ready, first, last = {}, 1, 0
  local function queue(which)
    return splitter(function(line)
      last = last + 1
      ready[last] = { line, which }
    end)
  end
  local split = { [1] = queue "stdout", [2] = queue "stderr" }
  local over = false
  local function next_line()
    while first > last and not over do
      local bytes = stream:read()
      if not bytes then
        over = true
        split[1]()
        split[2]()
      elseif tty then
        split[1]((bytes:gsub("\r\n", "\n")))
      else
        for _, piece in ipairs(stream:frames(bytes)) do
          (split[piece[1]] or split[1])(piece[2])
        end
      end
    end
    if first > last then
      return nil
    end
    local entry = ready[first]
    ready[first] = nil
    first = first + 1
    return entry[1], entry[2]
  end
  return next_line, nil, nil, stream
end

-- stats(container[, where]): one sample: { cpu_s, memory_bytes, memory_limit_bytes, read_bytes,
-- write_bytes, received_bytes, sent_bytes, processes }; nil where the daemon does not say.
function docker.stats(container, o)
  local name, of = container_of("docker.stats", container)
  local s = daemon("docker.stats", o, {}, of)
    :call("GET", "/containers/" .. name .. "/stats?stream=false&one-shot=true")
  local result = {
    cpu_s = s.cpu_stats and s.cpu_stats.cpu_usage and s.cpu_stats.cpu_usage.total_usage / 1e9,
    memory_bytes = s.memory_stats and s.memory_stats.usage,
    memory_limit_bytes = s.memory_stats and s.memory_stats.limit,
    processes = s.pids_stats and s.pids_stats.current,
  }
  local blocks = s.blkio_stats and s.blkio_stats.io_service_bytes_recursive
  if type(blocks) == "table" then
    result.read_bytes, result.write_bytes = 0, 0
    for _, b in ipairs(blocks) do
      local key = b.op:lower() == "read" and "read_bytes" or b.op:lower() == "write" and "write_bytes"
      if key then
        result[key] = result[key] + b.value
      end
    end
  end
  if type(s.networks) == "table" then
    result.received_bytes, result.sent_bytes = 0, 0
    for _, n in pairs(s.networks) do
      result.received_bytes = result.received_bytes + n.rx_bytes
      result.sent_bytes = result.sent_bytes + n.tx_bytes
    end
  end
  return result
end

-- Follows the lines of JSON that a pull or a build answers with; an error among them is raised.
local function follow_lines(stream, what, on_line)
  local split = splitter(function(line)
    if line:match "%S" then
      local value = json.decode(line)
      if value.error then
        local code = type(value.errorDetail) == "table" and math.tointeger(value.errorDetail.code)
        error(require "tutti.error" { kind = code and "exit" or client.trouble(value.error), code = code,
          message = what .. ": " .. value.error }, 0)
      end
      on_line(value)
    end
  end)
  each_chunk(stream, split)
  split()
end

-- pull(image[, { platform =, progress = }]): progress(status, id, done, total) sees it happen.
function docker.pull(image, o)
  o = o or {}
  if type(image) ~= "string" then
    invalid("docker.pull: the image must be a name, got a %s", type(image))
  end
  client.image_name(image)
  local d = daemon("docker.pull", o, { "platform", "progress" })
  follow_lines(d:pull(image, o.platform), "pull " .. image, function(line)
    if o.progress then
      local detail = line.progressDetail or {}
      o.progress(line.status, line.id, detail.current, detail.total)
    end
  end)
end

-- build{ path =, tag =, dockerfile =, args =, target =, platform =, pull =, no_cache =, labels =, progress = }:
-- builds the folder on this machine, without what its .dockerignore names; returns the image's id. tag is a
-- name or a list of names; progress(text) sees the output. A step that fails raises `exit` with its code.
function docker.build(o)
  local d = daemon("docker.build", o, { "path", "tag", "dockerfile", "args", "target", "platform", "pull",
    "no_cache", "progress", "labels" })
  if type(o.path) ~= "string" then
    invalid("docker.build: path must name the folder to build")
  end
  local dockerfile = o.dockerfile or "Dockerfile"
  local query = { "rm=1", "forcerm=1" }
  local function add(name, value)
    if value ~= nil then
      query[#query + 1] = name .. "=" .. client.escape(tostring(value))
    end
  end
  for _, tag in ipairs(type(o.tag) == "table" and o.tag or { o.tag }) do
    client.image_name(tag)
    add("t", tag)
  end
  add("dockerfile", dockerfile)
  add("target", o.target)
  add("platform", o.platform)
  add("pull", o.pull and "1" or nil)
  add("nocache", o.no_cache and "1" or nil)
  add("buildargs", o.args and json.encode(o.args))
  add("labels", o.labels and json.encode(o.labels))
  local id
  follow_lines(d:build(o.path, dockerfile, "/build?" .. table.concat(query, "&")), "build",
    function(line)
      if line.stream and o.progress then
        o.progress(line.stream)
      end
      id = type(line.aux) == "table" and line.aux.ID or id
    end)
  if not id then
    error(require "tutti.error" { kind = "lost", message = "build: its end was not observed" }, 0)
  end
  return id
end

-- wait_healthy(container[, { timeout = "1m" }]): until its health check passes; a container without
-- one must run. Raises `health` when the check says unhealthy or the container ends.
function docker.wait_healthy(container, o)
  o = o or {}
  local name, of = container_of("docker.wait_healthy", container)
  local d = daemon("docker.wait_healthy", o, { "timeout" }, of)
  local function state()
    local s = d:call("GET", "/containers/" .. name .. "/json").State
    if not s.Running then
      error(require "tutti.error" { kind = "health", message = name .. " ended with code " .. s.ExitCode }, 0)
    elseif not s.Health then
      return true
    elseif s.Health.Status == "unhealthy" then
      local log = s.Health.Log and s.Health.Log[#s.Health.Log]
      error(require "tutti.error" { kind = "health",
        message = name .. " is unhealthy" .. (log and ": " .. log.Output or "") }, 0)
    end
    return s.Health.Status == "healthy"
  end
  require("tutti.host").timeout(o.timeout or "1m", function()
    -- first the events, then the state: nothing is missed in between
    local stream <close> = d:open("/events?filters=" .. filters_of {
      container = json.array { name }, event = json.array { "health_status", "die", "start" } })
    while not state() do
      if not stream:read() then
        error(require "tutti.error" { kind = "lost", message = "the daemon's events ended" }, 0)
      end
    end
  end)
end

return setmetatable(docker, {
  __call = function(_, what)
    return env.docker(what)
  end,
})
