---@meta
-- What a Docker daemon does besides running commands: `tutti.docker.logs(…)` and so on. A container is
-- its name, its id or its environment; `host`, `context` and `cert_path` name the daemon as in
-- tutti.docker{ … }.

---@class tutti.Docker
local Docker = {}

---@class tutti.DockerWhere
---@field host? string "unix:///path", "tcp://host:port"; the default is DOCKER_HOST, then the docker context, then /var/run/docker.sock
---@field context? string the name of a docker context
---@field cert_path? string folder of ca.pem, cert.pem and key.pem

---@class tutti.DockerContainer
---@field id string
---@field name string
---@field image string
---@field state string "running", "exited", …
---@field status string for people
---@field labels table<string, string>

---@class tutti.DockerContainersOptions: tutti.DockerWhere
---@field all? boolean also those that do not run
---@field label? string "name" or "name=value"

---@param options? tutti.DockerContainersOptions
---@return tutti.DockerContainer[]
function Docker.containers(options) end

---@class tutti.DockerImage
---@field id string
---@field tags string[]
---@field size integer bytes
---@field created integer seconds since 1970

---@class tutti.DockerImagesOptions: tutti.DockerWhere
---@field all? boolean also layers without a name

---@param options? tutti.DockerImagesOptions
---@return tutti.DockerImage[]
function Docker.images(options) end

---What the daemon knows of a container, in its own words.
---@param container string|tutti.Environment
---@param options? tutti.DockerWhere
---@return table
function Docker.inspect(container, options) end

---@class tutti.DockerRemoveOptions: tutti.DockerWhere
---@field force? boolean also while it runs
---@field volumes? boolean with its anonymous volumes

---@param container string|tutti.Environment
---@param options? tutti.DockerRemoveOptions
function Docker.remove(container, options) end

---@class tutti.DockerPullOptions: tutti.DockerWhere
---@field platform? string "linux/arm64"
---@field progress? fun(status: string, id?: string, done?: integer, total?: integer)

---Gets an image from its registry, with the credentials of the docker configuration.
---@param image string
---@param options? tutti.DockerPullOptions
function Docker.pull(image, options) end

---@class tutti.DockerBuildOptions: tutti.DockerWhere
---@field path string the folder on this machine; what its .dockerignore names stays here
---@field dockerfile? string relative to the folder; "Dockerfile"
---@field tag? string|string[]
---@field args? table<string, string> values of ARG
---@field target? string the stage to build
---@field platform? string
---@field pull? boolean get the base images anew
---@field no_cache? boolean
---@field labels? table<string, string>
---@field progress? fun(text: string) what the build says, as it comes

---Builds an image and returns its id. A step that fails raises `exit` with its `code`.
---@param options tutti.DockerBuildOptions
---@return string
function Docker.build(options) end

---@class tutti.DockerLogsOptions: tutti.DockerWhere
---@field follow? boolean go on until the container ends
---@field since? number|string seconds since 1970, or a date as the daemon reads it
---@field tail? integer the last so many lines
---@field timestamps? boolean each line begins with its time

---`for line, stream in tutti.docker.logs("web", { follow = true }) do … end`; stream is "stdout" or
---"stderr". Leaving the loop ends the subscription.
---@param container string|tutti.Environment
---@param options? tutti.DockerLogsOptions
---@return fun(): string?, string?
function Docker.logs(container, options) end

---@class tutti.DockerStats
---@field cpu_s? number CPU seconds since it started
---@field memory_bytes? integer
---@field memory_limit_bytes? integer
---@field read_bytes? integer
---@field write_bytes? integer
---@field received_bytes? integer
---@field sent_bytes? integer
---@field processes? integer

---One sample; what the daemon does not say is nil.
---@param container string|tutti.Environment
---@param options? tutti.DockerWhere
---@return tutti.DockerStats
function Docker.stats(container, options) end

---@class tutti.DockerHealthOptions: tutti.DockerWhere
---@field timeout? tutti.Duration "1m"

---Waits until the health check passes; a container without one must run. Raises `health` when the check
---says unhealthy or the container ends.
---@param container string|tutti.Environment
---@param options? tutti.DockerHealthOptions
function Docker.wait_healthy(container, options) end
