{{- define "toml.extras" -}}
{{ include "toml.stt" . }}
{{ include "toml.gateway" . }}
{{ include "toml.cron" . }}
{{- end }}

{{- define "toml.gateway" -}}
{{- $gateway := .spec.gateway | default dict -}}
{{- if $gateway.enabled -}}
{{- if not $gateway.url }}{{ fail (printf "agents.%s.gateway.url is needed while the gateway is enabled" .key) }}{{ end }}
[gateway]
url = {{ $gateway.url | toJson }}
platform = {{ $gateway.platform | default "telegram" | toJson }}
{{- if $gateway.token }}
token = "${GATEWAY_WS_TOKEN}"
{{- end }}
{{- with $gateway.botUsername }}
bot_username = {{ toJson . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "toml.cron" -}}
{{- $cron := .spec.cron | default dict -}}
{{- if or .spec.cronjobs $cron.usercronEnabled $cron.usercronPath }}
[cron]
usercron_enabled = {{ $cron.usercronEnabled | default false }}
{{- with $cron.usercronPath }}
usercron_path = {{ toJson . }}
{{- end }}
{{- range .spec.cronjobs }}

[[cron.jobs]]
enabled = {{ ne (toString (get . "enabled")) "false" }}
schedule = {{ .schedule | toJson }}
channel = {{ .channel | toJson }}
message = {{ .message | toJson }}
platform = {{ .platform | default "discord" | toJson }}
timezone = {{ .timezone | default "UTC" | toJson }}
{{- end }}
{{- end }}
{{- end }}
