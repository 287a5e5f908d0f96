"""Everything can be edited in the admin."""

from django.contrib import admin

from harbour.models import Boat, Harbour, Tag, Trip

for model in (Boat, Harbour, Tag, Trip):
    admin.site.register(model)
