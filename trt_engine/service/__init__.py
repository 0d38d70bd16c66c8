"""The service: one process that owns the devices, keeps jobs, and answers over HTTP.

`api` speaks HTTP, `jobs` keeps and hands out jobs, `worker` computes in processes of its own, and `kinds` says what a
job of each kind is. Each room imports only those named after it; `settings` and `errors` belong to all of them.
"""
