{{- define "agent.claim" -}}
{{ include "agent.fullname" . }}
{{- end }}

{{/* "true" if the chart makes the claim itself. */}}
{{- define "agent.ownsClaim" -}}
{{ include "agent.persistent" . }}
{{- end }}

{{/* helm leaves the claim where it is when the release, or the claim's name in it, goes. */}}
{{- define "agent.claimAnnotations" -}}
helm.sh/resource-policy: keep
{{- end }}
