{{/* Another default in the configuration, and nothing else: the pod's template stays as it was, and so does the pod. */}}
{{- define "toml.behaviour" -}}
{{- $pool := .spec.pool | default dict -}}
[pool]
max_sessions = {{ $pool.maxSessions | default 4 }}
session_ttl_hours = {{ $pool.sessionTtlHours | default 24 }}
{{- end }}
