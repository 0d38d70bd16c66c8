"""The service: one process that owns the devices, keeps jobs, and answers over HTTP.

`api` serves HTTP, `jobs` stores and distributes jobs, `worker` computes in processes of its own, and `kinds` defines
the kinds of jobs. Each package imports only those named after it; all may use `settings` and `errors`.
"""
