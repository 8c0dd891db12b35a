"""The task graph of packaging. Tasks only connect plain functions to targets.

    PackageDataset
     └ PruneStale
        ├ WriteDescription ├ WriteParticipants ├ WriteSamples ├ WriteScans
        ├ WriteReadme ├ WriteBidsIgnore
        ├ WriteSidecars(unit) x at most 64
        ├ LinkAssets(unit)    x at most 64, as the backend's subclass;
                              x at most 1,024 where that is one of MakeAssets, whose work is slow
        │     └ ConvertPart(unit, part)   of an image that is divided among workers
        ├ LinkSources(unit)   x at most 64, with keep_source_links
        ├ WriteCompanions(unit)   x at most 1,024, after the images, if the backend has companions
        └ WritePreviews(unit)     x at most 1,024, with previews
           all require BuildPaths, which requires ValidateManifest

Every task knows its plan by `plan_id`, which is worked out from the inputs when a task is made
without one. So other inputs make other tasks, and a task that a scheduler hands to another worker
does the same work there. While the inputs are refused there is nothing but ValidateManifest.
"""
