"""manage.py daily fill | go_on"""

from django.core.management.base import BaseCommand

from harbour import daily


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("what", choices=["fill", "go_on"])

    def handle(self, *_, what, **__):
        getattr(daily, what)()
