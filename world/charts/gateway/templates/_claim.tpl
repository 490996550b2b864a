{{/* A claim that somebody else made may be used instead of one of the chart's. */}}
{{- define "agent.existingClaim" -}}
{{ get (.spec.persistence | default dict) "existingClaim" }}
{{- end }}

{{- define "agent.claim" -}}
{{ include "agent.existingClaim" . | default (include "agent.fullname" .) }}
{{- end }}

{{/* "true" if the chart makes the claim itself. */}}
{{- define "agent.ownsClaim" -}}
{{ and (eq (include "agent.persistent" .) "true") (not (include "agent.existingClaim" .)) }}
{{- end }}

{{/* helm leaves the claim where it is when the release, or the claim's name in it, goes. */}}
{{- define "agent.claimAnnotations" -}}
helm.sh/resource-policy: keep
{{- end }}
