"""Recording a step: what happened to arrays, and what Python the step relied on."""
