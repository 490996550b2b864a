{{- define "agent.env" -}}
{{- $name := include "agent.fullname" . -}}
{{- range include "agent.tokens" . | fromJsonArray }}
- name: {{ .env }}
  valueFrom:
    secretKeyRef:
      name: {{ $name }}
      key: {{ .key }}
{{- end }}
- name: HOME
  value: {{ include "agent.home" . }}
{{- range $key, $value := .spec.env }}
- name: {{ $key }}
  value: {{ $value | quote }}
{{- end }}
{{- range .spec.secretEnv }}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secretName }}
      key: {{ .secretKey }}
{{- end }}
{{- end }}

{{/* Names of environment variables that the agent's command inherits although they are not in the configuration. */}}
{{- define "agent.inherited" -}}
{{- $names := .spec.inheritEnv | default list -}}
{{- range .spec.secretEnv -}}
{{- if not (and .name .secretName .secretKey) -}}
{{- fail (printf "agents.%s.secretEnv: every entry needs name, secretName and secretKey" $.key) -}}
{{- end -}}
{{- if hasKey ($.spec.env | default dict) .name -}}
{{- fail (printf "agents.%s: %s is in secretEnv and in env, which would show it in the ConfigMap; drop one" $.key .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{ $names | uniq | toJson }}
{{- end }}
