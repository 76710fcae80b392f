---@meta
-- tutti.k8s beside the environments that it makes: manifests, rollouts, logs, forwarded ports. Every call
-- goes to the cluster that `context` names, else to the kubeconfig's current one.

---@class tutti.K8s
local K8s = {}

---@class tutti.K8sWhere
---@field context? string of the kubeconfig; its current one unless given
---@field kubeconfig? string
---@field namespace? string the context's own unless given

---Server-side apply; returns what is there now, in order.
---@param manifests string|table YAML, a manifest, or a list of them
---@param where? tutti.K8sWhere
---@return table[]
function K8s.apply(manifests, where) end

---"deployment/web" is one object (`not_found` when there is none), "pods" a list.
---@param resource string
---@param options? tutti.K8sWhere
---@return table
function K8s.get(resource, options) end

---@param resource string "deployment/web"
---@param change table
---@param options? tutti.K8sWhere
---@return table # the object as it is now
function K8s.patch(resource, change, options) end

---@param resource string "deployment/web"
---@param options? tutti.K8sWhere
function K8s.delete(resource, options) end

---With data: makes or replaces it; without: what it holds.
---@param name string
---@param data? table<string, string>
---@param where? tutti.K8sWhere
---@return table<string, string>
function K8s.configmap(name, data, where) end

---Waits until it is rolled out. Raises `health` when it cannot be, `timeout` with what it waited for.
---@param resource string a deployment, a statefulset or a daemonset
---@param options? tutti.K8sWhere
function K8s.rollout_status(resource, options) end

---An iterator over lines.
---@param pod string|tutti.Environment "namespace/pod"
---@param options? tutti.K8sWhere
---@return fun(): string?
function K8s.logs(pod, options) end

---A port of this machine that leads to the pod's, while it is open.
---@param pod string|tutti.Environment
---@param port integer
---@param options? tutti.K8sWhere
---@return { port: integer, close: fun(), trouble: fun(): string? }
function K8s.forward(pod, port, options) end
