---@meta
-- What `require "tutti"` gives, and the objects that come from it. Every function that waits suspends
-- only the coroutine that calls it; where Lua cannot suspend (a comparator of table.sort, a callback of
-- string.gsub, __tostring, __gc) it raises `invalid`.

---@class tutti
---@field version string
---@field here tutti.Environment this machine
---@field json tutti.Json
local tutti = {}

-- ---- tasks ----

---Monotonic seconds, to the millisecond.
---@return number
function tutti.now() end

---@param duration tutti.Duration
function tutti.sleep(duration) end

---Runs f at once beside the caller, who ends only when it has ended. When it fails and nobody joins it,
---its error is the caller's.
---@param f function
---@param ... any its arguments
---@return tutti.Task
function tutti.spawn(f, ...) end

---@class tutti.Task
local Task = {}

---Waits for its end and returns what it returned, or raises its error.
---@return any ...
function Task:join() end

---Asks it to end; does not wait for that.
function Task:cancel() end

---Runs f when the calling task ends, the last one deferred first, also after an error or when it is
---cancelled; bound to a variable (`local _ <close> = tutti.defer(f)`) at the end of its block.
---@param f fun()
---@return userdata
function tutti.defer(f) end

---@class tutti.GroupOptions
---@field parallel? integer how many run at once; all unless given
---@field errors? "raise"|"collect" collect: each result is { ok, value, error }

---Runs the functions at once; their first values in order, with the count as `n`. The first error
---cancels the others, waits for them, and is raised.
---@param functions (fun(): any)[]
---@param options? tutti.GroupOptions
---@return table
function tutti.all(functions, options) end

---The same with f(item, index) for each item.
---@param list any[]
---@param f fun(item: any, index: integer): any
---@param options? tutti.GroupOptions
---@return table
function tutti.map(list, f, options) end

---All values of the function that finished first, or its error; the others are cancelled and waited for.
---@param functions (fun(): any)[]
---@return any ...
function tutti.race(functions) end

---What f returns, or an error of kind `timeout` when that takes longer; f is cancelled and waited for.
---@param duration tutti.Duration
---@param f fun(): any
---@return any ...
function tutti.timeout(duration, f) end

-- ---- errors ----

---What every function raises. tostring gives the message with those of the causes; `..` joins it to text.
---@class tutti.Error
---@field kind "exit"|"signal"|"not_found"|"permission"|"timeout"|"output_limit"|"cwd"|"lost"|"connect"|"auth"|"host_key"|"cancelled"|"invalid"|"unsupported"|"script"|"health"|"artifact"|"io"
---@field message string begins with the script's file and line
---@field cause? tutti.Error
---@field result? tutti.Result of a command
---@field code? integer its exit code
---@field env? string where it ran
---@field traceback? string where an error that left a task was raised

---Makes one, for scripts that raise errors of a kind: error(tutti.Error { kind = "health", message = "…" }).
---@param fields { kind?: string, message: string, cause?: tutti.Error }
---@return tutti.Error
function tutti.Error(fields) end

-- ---- environments ----

---The environment that a text stands for: "local:", "ssh://user@host:port"; without a scheme an SSH
---destination.
---@param text string
---@return tutti.Environment
function tutti.env(text) end

---A file or a tree from one environment to another: { env, path }, or a path for this machine.
---
---Dot files, modes, symlinks and empty directories arrive; a tree merges into a directory that is
---there: it adds and replaces, and never deletes. Each file replaces another one in one step, once
---what arrived was compared with what was sent. Raises `not_found`, `permission`, `unsupported` (a
---socket, a device or a pipe is in the tree) and `io` (the two differ: it arrived damaged, or the
---source was changed meanwhile); what stood there is then as it was.
---@param from string|{ [1]: tutti.Environment, [2]: string }
---@param to string|{ [1]: tutti.Environment, [2]: string }
function tutti.copy(from, to) end

---Where commands run. Immutable; two are equal when their texts are.
---@class tutti.Environment
local Environment = {}

---What every command of an environment starts from.
---@class tutti.CommandDefaults
---@field cwd? string a relative one is below the environment's
---@field env? table<string, string|number|tutti.Secret> variables, added to the environment's
---@field user? string who the command runs as
---@field password? string|tutti.Secret for becoming that user
---@field timeout? tutti.Duration
---@field grace? tutti.Duration between TERM and KILL; 2 s unless given
---@field max_output? integer|string bytes of each stream ("16MiB" unless given); more stops the command
---@field pty? boolean on a terminal: both streams arrive as stdout

---Words beside their options: { "ls", "-l", cwd = "/tmp" }; or a line for the shell as `sh`.
---@class tutti.Command: tutti.CommandDefaults
---@field sh? string|any[] a line, or a list of a line and values for its placeholders
---@field stdin? string|boolean|tutti.Secret what it reads; nothing unless given. For spawn: false for nothing, else a pipe

---Runs a command and returns its result; raises an error with that result unless it succeeded. With
---arguments each %s in the line is replaced by that value, quoted; a list is each item quoted.
---@param command string|tutti.Command
---@param ... any
---@return tutti.Result
function Environment:run(command, ...) end

---The same, but raises only for `cancelled`, `invalid` and `unsupported`.
---@param command string|tutti.Command
---@param ... any
---@return tutti.Result
function Environment:try(command, ...) end

---Starts a command whose streams are read and written while it runs. It ends with the task that
---started it.
---@param command string|tutti.Command
---@param ... any
---@return tutti.Process
function Environment:spawn(command, ...) end

---Another one with other defaults.
---@param defaults tutti.CommandDefaults
---@return tutti.Environment
function Environment:with(defaults) end

---@return "local"|"ssh"|"docker"|"docker-image"|"k8s"|"k8s-job"
function Environment:kind() end

---@class tutti.ReadOptions
---@field max? integer|string a larger file is an error; "256MiB" unless given

---@param path string
---@param options? tutti.ReadOptions
---@return string
function Environment:read(path, options) end

---@class tutti.ModeOptions
---@field mode? string|integer permissions: "0644", or that as an integer (420)

---Atomically; an existing file keeps its mode and owner, and a symlink is followed.
---@param path string
---@param data string|tutti.Secret
---@param options? tutti.ModeOptions
function Environment:write(path, data, options) end

---A file or a tree from this machine: see `tutti.copy`.
---@param from string
---@param to string
function Environment:upload(from, to) end

---A file or a tree to this machine: see `tutti.copy`.
---@param from string
---@param to string
function Environment:download(from, to) end

---@class tutti.StatOptions
---@field follow? boolean false: what a symlink is, not what it points to

---@class tutti.Stat
---@field type "file"|"directory"|"symlink"|"other"
---@field size integer
---@field mode integer
---@field mtime integer seconds since 1970
---@field uid integer
---@field gid integer
---@field target? string of a symlink
---@field name? string in a list

---nil when there is no such file.
---@param path string
---@param options? tutti.StatOptions
---@return tutti.Stat?
function Environment:stat(path, options) end

---@class tutti.TunnelOptions
---@field to string|integer "host:port" as the far end sees it; a port alone is 127.0.0.1
---@field from? string|integer where to listen; port 0, the default, is any free one
---@field reverse? boolean listen on the host and lead to this machine

---@class tutti.Tunnel
---@field port integer that is listened on
---@field open boolean
---@field close fun(self: tutti.Tunnel)

---An ssh host's: connections to `from` lead to `to`, until it is closed or the task that opened it ends.
---@param options tutti.TunnelOptions
---@return tutti.Tunnel
function Environment:tunnel(options) end

---What a directory holds, sorted by name.
---@param path string
---@return tutti.Stat[]
function Environment:list(path) end

---@class tutti.GlobOptions
---@field empty? boolean true: patterns may match nothing; else each has to match something

---Paths that match one of the patterns, sorted. `**` is any depth; symlinks are not followed by it.
---@param patterns string|string[]
---@param options? tutti.GlobOptions
---@return string[]
function Environment:glob(patterns, options) end

---@class tutti.RemoveOptions
---@field recursive? boolean a directory with all below it

---@param path string
---@param options? tutti.RemoveOptions
function Environment:remove(path, options) end

---A directory and those above it; one that is there already is fine.
---@param path string
---@param options? tutti.ModeOptions
function Environment:mkdir(path, options) end

---How a command ended. tostring gives stdout without its last newline.
---@class tutti.Result
---@field ok boolean
---@field code? integer
---@field signal? string "KILL" …
---@field kind? string nil when ok, else as in tutti.Error
---@field message? string one line for people, nil when ok
---@field stdout string
---@field stderr string
---@field truncated boolean only the end was kept
---@field duration number seconds
---@field env string where it ran
---@field usage? tutti.Usage
local Result = {}

---@class tutti.Usage
---@field cpu_user? number seconds
---@field cpu_system? number
---@field max_rss? integer bytes
---@field io_read? integer bytes
---@field io_write? integer

---Goes through the lines of stdout, without their newlines.
---@return fun(): string?
function Result:lines() end

---stdout as a JSON value.
---@return any
function Result:json() end

---A command that runs.
---@class tutti.Process
local Process = {}

---Some bytes, at least one, or nil at the stream's end.
---@param stream? "stdout"|"stderr"
---@return string?
function Process:read(stream) end

---Goes through the lines as they come, without their newlines.
---@param stream? "stdout"|"stderr"
---@return fun(): string?
function Process:lines(stream) end

---Returns when the command's pipe took it; raises `io` when the command no longer reads.
---@param data string|number|tutti.Secret
---@param ... string|number|tutti.Secret
function Process:write(data, ...) end

function Process:close_stdin() end

---Waits for its end; the result is as `try` gives it, without what was read from the streams.
---@return tutti.Result
function Process:wait() end

---A signal to its process group. False when nothing of it was left.
---@param signal? string "TERM" unless given
---@return boolean
function Process:kill(signal) end

---What it prints becomes the other one's stdin from now on, as fast as that one takes it.
---@param to tutti.Process
function Process:pipe(to) end

---The text that names it in its environment.
---@return string
function Process:ref() end

-- ---- JSON ----

---Exact: integers keep all 64 bits, floats stay floats, [] and {} stay apart.
---@class tutti.Json
---@field null userdata what null inside a value becomes
local Json = {}

---@param text string
---@return any
function Json.decode(text) end

---@class tutti.EncodeOptions
---@field indent? integer spaces a level; 0 (one line) unless given

---@param value any
---@param options? tutti.EncodeOptions
---@return string
function Json.encode(value, options) end

---Marks a table as a list, so that it is [] when empty; returns it.
---@param list? table
---@return table
function Json.array(list) end

-- ---- secrets ----

---A value that no text can be got from in Lua: it reaches commands by `env`, `stdin` and `password`.
---@class tutti.Secret

---@class tutti.SecretOptions
---@field env? string the name of a variable of this process
---@field file? string a file here, without its last newline
---@field command? string|string[] what this command here prints, without its last newline
---@field prompt? string what to ask on the terminal, typed unseen

---From exactly one source.
---@param source tutti.SecretOptions
---@return tutti.Secret
function tutti.secret(source) end

-- ---- SSH ----

---What commands there start from.
---@class tutti.SshDefaults
---@field cwd? string
---@field env? table<string, string|number|tutti.Secret>
---@field timeout? tutti.Duration
---@field grace? tutti.Duration
---@field max_output? integer|string
---@field pty? boolean

---@class tutti.SshOptions: tutti.SshDefaults
---@field host string
---@field port? integer
---@field user? string who to log in as
---@field key? string|string[]|false
---@field passphrase? string|tutti.Secret
---@field password? string|tutti.Secret
---@field agent? string|false
---@field config? string|false
---@field host_key? "strict"|"accept-new"
---@field known_hosts? string|string[]
---@field jump? string|tutti.SshOptions|false
---@field proxy_command? string
---@field connect_timeout? tutti.Duration
---@field keepalive? tutti.Duration|false
---@field idle? tutti.Duration
---@field lifetime? tutti.Duration
---@field limit? integer commands at once on the host

---@param host string|tutti.SshOptions "user@host:port", or a name that ~/.ssh/config knows
---@return tutti.Environment
function tutti.ssh(host) end

-- ---- containers and pods ----

---A running container by its name (`container`), or one that is started from an image when first used
---and removed with the program (`image` and what is below it).
---@class tutti.DockerOptions: tutti.CommandDefaults
---@field container? string
---@field image? string
---@field name? string
---@field volumes? string|string[]
---@field network? string
---@field ports? string|string[]
---@field workdir? string
---@field entrypoint? string|string[]
---@field platform? string
---@field memory? integer|string
---@field cpus? number
---@field labels? table<string, string>
---@field pull? "missing"|"always"|"never"
---@field keep? boolean
---@field host? string the daemon; DOCKER_HOST and the context unless given
---@field context? string
---@field cert_path? string
---@field limit? integer commands at once

---@param container string|tutti.DockerOptions a running container's name, or a table
---@return tutti.Environment
function tutti.docker(container) end

---@class tutti.K8sOptions: tutti.CommandDefaults
---@field context? string of the kubeconfig; its current one unless given
---@field kubeconfig? string
---@field namespace? string the context's own unless given
---@field pod? string
---@field deployment? string one of its ready pods, the oldest
---@field selector? string|table<string, string> one ready pod with these labels, the oldest
---@field container? string
---@field job? tutti.K8sJob every command is a Job of its own, in place of pod, deployment and selector
---@field limit? integer commands at once

---@class tutti.K8sJob
---@field image string it needs /bin/sh
---@field env? table<string, string>
---@field labels? table<string, string>
---@field service_account? string
---@field cpu? string a quantity: "500m"
---@field memory? string a quantity: "256Mi"
---@field pull? "missing"|"always"|"never"
---@field pod? table what the pod's specification has beside

---@param pod string|tutti.K8sOptions "namespace/pod/container", or a table
---@return tutti.Environment
function tutti.k8s(pod) end
